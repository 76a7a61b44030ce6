"""Explaining arrays: independence from batch and chunk, keys by image id, one program, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
import jaxplain.methods  # fills the registry, over which tests are parametrized
from jaxplain import InputError, Logit, Logits, Predicted
from jaxplain._errors import InputTypeError
from jaxplain._registry import METHODS
from jaxplain.core.baselines import Blur, ChannelMean, Constant, Noise
from jaxplain.testing import tol
from jaxplain.testing.compiles import count_compiles
from jaxplain.testing.networks import SHAPE, images, relu_network, smooth_network
from jaxplain.testing.promises import example_keywords, network_for

KEY = jax.random.key(5)


def keywords_of(name):
    return example_keywords(METHODS[name], jnp.zeros(SHAPE))


@pytest.mark.parametrize("name", sorted(name for name in METHODS if not METHODS[name].notes.get("needs_relu")))
def test_batch_and_chunk_change_rounding_only_on_smooth_networks(name):
    x, model = images(64), network_for(METHODS[name])
    want = jaxplain.explain(model, x, Predicted(), method=name, batch=64, **keywords_of(name))
    variants = [{"batch": 1}, {"batch": 7}]
    if "chunk" in METHODS[name].knobs:
        variants = [{"batch": 1, "chunk": 1}, {"batch": 7, "chunk": 3}, {"batch": 64, "chunk": 100}]
    for variant in variants:
        got = jaxplain.explain(model, x, Predicted(), method=name, **variant, **keywords_of(name))
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=5, scale=float(np.abs(want).max()), safety=64))


OF_EACH_KIND = {
    "gradient",
    "integrated_gradients",
    "smoothgrad",
    "guided_backprop",
    "grad_cam",
    "lrp",
    "deeplift",
    "rise",
}
ON_RELU = [
    pytest.param(name, marks=[] if name in OF_EACH_KIND else pytest.mark.slow)
    for name in sorted(METHODS)
    if not METHODS[name].notes.get("needs_attention")
]


@pytest.mark.parametrize("name", ON_RELU)
def test_batch_and_chunk_on_relu_networks(name):
    """A gate at zero may flip, so the bound is on the 99th percentile of the relative L2 difference: 1e-2."""
    x, model = images(64), relu_network()
    want = jaxplain.explain(model, x, Predicted(), method=name, batch=64, **keywords_of(name)).reshape(64, -1)
    for variant in ({"batch": 1}, {"batch": 7}):
        got = jaxplain.explain(model, x, Predicted(), method=name, **variant, **keywords_of(name)).reshape(64, -1)
        difference = np.linalg.norm(got - want, axis=1) / (np.linalg.norm(want, axis=1) + 1e-12)
        assert np.percentile(difference, 99) <= 1e-2


def test_the_network_is_traced_once_for_all_methods():
    """Planning, the clean pass, every trace inside a method and the next method copy the first trace."""
    shapes = []

    def network(weights, batch):
        shapes.append(batch.shape)
        return jax.nn.relu(batch @ weights)

    model = jaxplain.from_function(network, jnp.ones((3, 2)))
    for name in ("gradient", "deeplift", "integrated_gradients"):
        context = {} if name == "gradient" else {"baseline": jnp.zeros(3)}
        jaxplain.explain(model, np.ones((4, 3), np.float32), Predicted(), method=name, **context)
    assert shapes == [(1, 3)]


def test_noise_depends_on_the_image_id_alone():
    x, model = images(6), smooth_network()
    knobs = {"method": "smoothgrad", "key": KEY, "n_samples": 3, "batch": 3}
    ids = np.array([7, 2**40 + 1, 3, 2**63, 11, 5], np.uint64)
    want = jaxplain.explain(model, x, Logit(0), ids=ids, **knobs)
    order = np.array([4, 1, 0, 5, 3, 2])
    shuffled = jaxplain.explain(model, x[order], Logit(0), ids=ids[order], **knobs)
    np.testing.assert_array_equal(shuffled, want[order])
    other = jaxplain.explain(model, x, Logit(0), ids=ids + np.uint64(1), **knobs)
    assert np.abs(other - want).max() > 1e-3


def test_one_program_for_labels_floats_and_ragged_batches():
    x, model = images(10), smooth_network()
    knobs = {"method": "smoothgrad", "key": KEY, "n_samples": 2, "batch": 4}
    labels = np.arange(10) % 5
    jaxplain.explain(model, x, Predicted(), sigma=0.2, **knobs)
    jaxplain.explain(model, x, Logit(0), sigma=0.2, **knobs)
    other = smooth_network(seed=1)
    with count_compiles() as count:
        for label, sigma in zip(range(10), [0.1, np.float32(0.3), 1] * 4, strict=False):
            jaxplain.explain(model, x, Logit(label % 5), sigma=sigma, **knobs)
        jaxplain.explain(model, x, Logit(labels), **knobs)
        jaxplain.explain(model, x[:7], Logit(np.int64(3)), **knobs)
        jaxplain.explain(other, x, Predicted(), **knobs)
    assert count.programs == 0


def test_explaining_again_does_not_trace_the_network_again():
    traced = []

    def network(weights, x):
        traced.append(x.shape)
        return jnp.tanh(x) @ weights

    model = jaxplain.from_function(network, jnp.ones((3, 2)))
    for number in range(2):
        jaxplain.explain(model, np.full((4, 3), 0.5 + number, np.float32), Logit(number), method="gradient")
        if number == 0:
            assert traced, "the function is not the network that is explained"
            traced.clear()
    assert traced == []


def test_predicted_is_the_class_of_the_clean_pass():
    x, model = images(9), smooth_network()
    predicted = np.asarray(jnp.argmax(model(x), axis=-1))
    got = jaxplain.explain(model, x, Predicted(), method="gradient", batch=4)
    np.testing.assert_array_equal(got, jaxplain.explain(model, x, Logit(predicted), method="gradient", batch=4))


def test_several_targets_share_one_call():
    x, model = images(3), smooth_network()
    both = jaxplain.explain(model, x, Logits(np.array([4, 1])), method="gradient")
    for column, label in enumerate((4, 1)):
        one = jaxplain.explain(model, x, Logit(label), method="gradient")
        np.testing.assert_allclose(both[:, column], one, **tol(np.float32, terms=100))


@pytest.mark.parametrize(
    "baseline",
    [
        0.25,
        np.array([0.1, 0.2], np.float32),
        images(1)[0],
        images(4),
        Constant(0.5),
        ChannelMean(),
        Blur(1.0),
        Noise(0.3),
    ],
    ids=["number", "channels", "image", "per image", "Constant", "ChannelMean", "Blur", "Noise"],
)
def test_baselines(baseline):
    """Completeness holds against each baseline: the map sums to f(x) - f(b)."""
    x, model = images(4), smooth_network()
    knobs = {"method": "integrated_gradients", "baseline": baseline, "n_steps": 24, "key": KEY}
    got = jaxplain.explain(model, x, Logit(1), **knobs)
    one = jaxplain.explain(model, x, Logit(1), **knobs, batch=1)
    np.testing.assert_allclose(got, one, **tol(np.float32, terms=24, scale=float(np.abs(got).max())))
    if not callable(baseline):
        full = np.broadcast_to(np.asarray(baseline, np.float32), x.shape)
        change = np.asarray(model(x)[:, 1] - model(full)[:, 1])
        np.testing.assert_allclose(got.sum(axis=(1, 2, 3)), change, **tol(np.float32, terms=x[0].size, safety=32))


def test_bf16_is_near_and_exact_is_at_least_as_near():
    x, model = images(8), smooth_network()
    want = jaxplain.explain(model, x, Logit(1), method="gradient", precision="exact")
    got = jaxplain.explain(model, x, Logit(1), method="gradient", precision="bf16")
    assert got.dtype == np.float32
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    assert 0 < error < 0.03  # bfloat16 keeps 8 bits: about 4e-3 per product, a few products deep


def refused(match, *args, error=InputError, **knobs):
    with pytest.raises(error, match=match):
        jaxplain.explain(*args, **knobs)


def test_refusals_say_what_to_do():
    x, model = images(2), smooth_network()
    refused("did you mean 'smoothgrad'", model, x, Logit(0), method="smothgrad")
    refused("did you mean 'n_samples'", model, x, Logit(0), method="smoothgrad", key=KEY, n_sample=3)
    refused("jax.random.key", model, x, Logit(0), method="smoothgrad", error=InputTypeError)
    refused(r"jaxplain\.Logit\(3\)", model, x, 3, method="gradient", error=InputTypeError)
    refused("np.array", model, x, Logit([0, 1]), method="gradient", error=InputTypeError)
    refused("jax.random.key", model, x, Logit(0), method="smoothgrad", key=jax.random.PRNGKey(0), error=InputTypeError)
    refused("sigma = -1", model, x, Logit(0), method="smoothgrad", key=KEY, sigma=-1)
    refused("n_samples", model, x, Logit(0), method="smoothgrad", key=KEY, n_samples=0)
    refused("n_samples must be of type int", model, x, Logit(0), method="smoothgrad", key=KEY, n_samples=2.5)
    refused("gauss_legendre", model, x, Logit(0), method="integrated_gradients", baseline=0.0, rule="gaus")
    refused("baseline= is required", model, x, Logit(0), method="integrated_gradients", error=InputTypeError)
    refused("does not fit examples", model, x, Logit(0), method="occlusion", baseline=np.zeros((3, 3)))
    refused("window", model, x, Logit(0), method="occlusion", baseline=0.0, window=(40, 40))
    refused("leaves gaps", model, x, Logit(0), method="occlusion", baseline=0.0, window=(2, 2), stride=(3, 3))
    refused("from_linen", lambda x: x, x, Logit(0), method="gradient", error=InputTypeError)
    refused(
        "convert them to float",
        model,
        np.zeros((2, *SHAPE), np.uint8),
        Logit(0),
        method="gradient",
        error=InputTypeError,
    )
    refused(r"x\[None\]", model, np.zeros((0, *SHAPE), np.float32), Logit(0), method="gradient")
    refused("one per image", model, x, Logit(0), method="gradient", ids=np.arange(3))
    refused("512MiB", model, x, Logit(0), method="gradient", memory="much")
    refused("more than the budget", model, x, Logit(0), method="gradient", memory="10 KB")
    with pytest.raises(InputTypeError, match=r"jaxplain\.methods"):
        jax.jit(lambda x: jaxplain.explain(model, x, Logit(0), method="gradient"))(x)


def test_a_method_called_directly_refuses_a_raw_key():
    score = jaxplain.Score(smooth_network(), Logit(0))
    for key in (1, jax.random.PRNGKey(0), jax.random.split(KEY, 2)):
        with pytest.raises(InputTypeError, match=r"jax\.random\.key|one key"):
            jaxplain.methods.smoothgrad(score, jnp.asarray(images(1)[0]), key=key)


def test_an_unresolved_prediction_raises():
    score = jaxplain.Score(smooth_network(), Predicted())
    with pytest.raises(InputTypeError, match="not resolved"):
        score(jnp.asarray(images(1)[0]))


def test_a_network_without_a_derivative_is_explained_by_methods_that_need_none():
    def called(weights, batch):
        like = jax.ShapeDtypeStruct(batch.shape, batch.dtype)
        inside = jax.pure_callback(np.asarray, like, batch, vmap_method="sequential")
        return inside.reshape(len(batch), -1) @ weights

    model, x = jaxplain.from_function(called, jnp.ones((int(np.prod(SHAPE)), 2))), images(2)
    maps = jaxplain.explain(model, x, Logit(1), method="occlusion", baseline=0.0, window=(4, 5), stride=(4, 5), batch=1)
    assert np.isfinite(maps).all() and np.abs(maps).max() > 0
    with pytest.raises(InputError, match="opaque call 'pure_callback'"):
        jaxplain.explain(model, x, Logit(1), method="lrp", composite="epsilon", batch=1)
