"""DeepLIFT and Deep SHAP beyond their closed forms: completeness on networks, agreement with other methods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

import jaxplain
from jaxplain import InputError, Logit, Logits, Score
from jaxplain.methods import deep_shap, deeplift, input_x_gradient, integrated_gradients
from jaxplain.methods.deep_shap import deep_shap_with_diagnostics
from jaxplain.methods.deeplift import deeplift_with_diagnostics
from jaxplain.testing import relu_network, smooth_network, tol
from jaxplain.testing.architectures import ARCHITECTURES
from jaxplain.testing.networks import images

NETWORKS = {network.name: network for network in ARCHITECTURES}


@pytest.mark.parametrize("name", NETWORKS)
def test_complete_on_architectures(name):
    """Convolutions, BatchNorm, pooling, residual sums, LayerNorm, GELU, attention: all classes, in float32."""
    network = NETWORKS[name]
    x, other = (jnp.asarray(image) for image in network.images(2))
    f = Score(network.model(**network.forms["nnx"]), Logits(jnp.arange(4, dtype=jnp.int32)))
    explain = jax.jit(lambda x, baseline: deeplift(f, x, baseline=baseline))
    for baseline in (jnp.zeros_like(x), other):
        maps, change = explain(x, baseline), f(x) - f(baseline)
        assert maps.shape == (4, *x.shape)
        summed = maps.reshape(4, -1).sum(1)
        np.testing.assert_allclose(summed, change, rtol=0, atol=1e-5 * float(np.abs(change).max()))


@pytest.mark.parametrize("network", [relu_network(8), smooth_network()], ids=["relu", "smooth"])
def test_complete_to_rounding_in_float64(x64, network):
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), network)
    x, baseline = (jnp.asarray(image, jnp.float64) for image in images(2))
    _, figures = deeplift_with_diagnostics(Score(model, Logits(jnp.arange(3))), x, baseline=baseline)
    assert figures["gap"].shape == (3,)
    np.testing.assert_allclose(figures["gap"], 0, atol=1e-12)


def adjacent(x):
    """Max-pooling directly behind a ReLU, and one ReLU that is used again and again."""
    relu = jax.nn.relu
    hidden = relu(relu(x) - 0.5) + relu(x[::-1])
    return jnp.sum(lax.reduce_window(relu(hidden - 1), -jnp.inf, lax.max, (3,), (1,), "SAME") * jnp.arange(1.0, 9.0))


def test_pooling_behind_a_relu_that_is_used_again():
    x, baseline = (jnp.asarray(np.random.default_rng(seed).normal(size=8) * 2, jnp.float32) for seed in range(2))
    found = deeplift(adjacent, x, baseline=baseline)
    change = adjacent(x) - adjacent(baseline)
    np.testing.assert_allclose(found.sum(), change, **tol(np.float32, terms=8, scale=float(np.abs(found).max())))
    # Of a unit that rises alone, all goes to it.
    alone = deeplift(adjacent, jnp.zeros(8).at[3].set(5.0), baseline=jnp.zeros(8))
    assert alone[3] == adjacent(jnp.zeros(8).at[3].set(5.0)) and np.count_nonzero(alone) == 1


def test_a_network_without_bias_at_zero_is_input_times_gradient():
    """ReLU and max-pooling from zero: slopes of secants are the gradient."""
    weights = [jnp.asarray(np.random.default_rng(seed).normal(size=(8, 8)), jnp.float32) for seed in range(2)]

    def f(x):
        pooled = lax.reduce_window(jax.nn.relu(x @ weights[0]), -jnp.inf, lax.max, (2,), (2,), "VALID")
        return jnp.sum(jax.nn.leaky_relu(pooled @ weights[1][:4]))

    x = jnp.asarray(np.random.default_rng(5).normal(size=8), jnp.float32)
    want = input_x_gradient(f, x)
    limits = tol(np.float32, terms=8, scale=float(np.abs(want).max()))
    np.testing.assert_allclose(deeplift(f, x, baseline=0 * x), want, **limits)


def test_one_nonlinearity_behind_linear_layers_is_integrated_gradients(x64):
    """Of g(w x), a single unit, and of a sum of such: both give the slope of the secant."""
    w = jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)))
    x, baseline = (jnp.asarray(np.random.default_rng(seed).normal(size=6)) for seed in (1, 2))

    def f(x):
        h = x @ w
        return jnp.stack([jnp.sum(jnp.tanh(h) + jax.nn.gelu(h) * 2 + h**3), h[0] * h[1]])

    want = integrated_gradients(f, x, baseline=baseline, n_steps=64)
    np.testing.assert_allclose(deeplift(f, x, baseline=baseline), want, rtol=1e-10, atol=1e-12)


def test_maps_train_against_finite_differences(x64):
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), smooth_network())
    x = jnp.asarray(images(1)[0], jnp.float64)
    background = jnp.stack([0 * x, 0.3 + 0 * x])

    @jax.jit
    def penalty(head):
        f = Score(type(model)({**model.params, "head": head}, model.apply), Logit(1))
        maps = deeplift(f, x, baseline=background[1]), deep_shap(f, x, background=background)
        return sum(jnp.sum(one**2) for one in maps)

    check_grads(penalty, (model.params["head"],), order=1, modes=["rev"], eps=1e-5, rtol=1e-6)


def test_deep_shap_is_the_mean_of_deeplift():
    f, (x, *others) = Score(relu_network(8), Logits(jnp.array([0, 2]))), map(jnp.asarray, images(6))
    explain = jax.jit(lambda baseline: deeplift(f, x, baseline=baseline))
    maps = [explain(baseline) for baseline in others]
    want = np.mean(maps, axis=0)
    limits = tol(np.float32, terms=100, scale=float(np.abs(want).max()))
    np.testing.assert_allclose(jax.jit(lambda b: deep_shap(f, x, background=b))(jnp.stack(others)), want, **limits)
    got, figures = jax.jit(lambda b: deep_shap_with_diagnostics(f, x, background=b, chunk=2))(jnp.stack(others))
    np.testing.assert_allclose(got, want, **limits)
    np.testing.assert_allclose(figures["gap"], 0, atol=1e-5 * float(np.abs(f(x)).max()))
    errors = np.std(maps, axis=0, ddof=1) / np.sqrt(5)
    norms = [np.sqrt(np.sum(values**2, axis=(1, 2, 3))) for values in (errors, want)]
    np.testing.assert_allclose(figures["stderr"], norms[0] / norms[1], rtol=1e-4)


def test_one_background_image_has_no_standard_error():
    f, x = Score(smooth_network(), Logit(0)), jnp.asarray(images(1)[0])
    _, figures = jax.jit(lambda x: deep_shap_with_diagnostics(f, x, background=0 * x[None]))(x)
    assert np.isnan(figures["stderr"]) and abs(figures["gap"]) < 1e-5


def test_scores_share_one_forward_pass():
    passes = []

    def f(x):
        jax.debug.callback(lambda: passes.append(None))
        return jnp.tanh(jnp.stack([x[0], x[1], x[0] * x[1]]))

    jax.block_until_ready(deeplift(f, jnp.ones(2), baseline=jnp.zeros(2), unknown="gradient"))
    jax.effects_barrier()
    assert len(passes) == 2  # at the example and at the baseline


@pytest.mark.parametrize("shape", [(12, 10, 2), (0, 12, 10, 2), (3, 10, 12, 2)])
def test_a_background_that_is_no_set_of_examples_is_refused(shape):
    f, x = Score(smooth_network(), Logit(0)), jnp.asarray(images(1)[0])
    with pytest.raises(InputError, match=r"deep_shap: background of shape .* is no set of examples"):
        deep_shap(f, x, background=jnp.zeros(shape))


def test_what_has_no_rule_is_named_with_its_module():
    def network(x):
        with jax.named_scope("Ranking_0"):
            return jnp.sum(lax.sort(jnp.tanh(x))[:3])

    x = jnp.asarray(np.random.default_rng(0).normal(size=8), jnp.float32)
    with pytest.raises(InputError, match=r"deeplift: there is no rule for the operation 'sort'.*test_deeplift"):
        deeplift(network, x, baseline=0 * x)
    with pytest.raises(InputError, match=r"deep_shap: there is no rule for the operation 'sort'"):
        deep_shap(network, x, background=0 * x[None])
    _, figures = deeplift_with_diagnostics(network, x, baseline=-x, unknown="gradient")
    assert abs(figures["gap"]) > 0.01


@pytest.mark.parametrize("name", ["deeplift", "deep_shap"])
def test_explain_runs_them_on_a_batch(name):
    batch, score = images(3), Score(relu_network(8), Logit(1))
    word = {"deeplift": "baseline", "deep_shap": "background"}[name]
    value = images(4, seed=1) if name == "deep_shap" else np.zeros_like(batch[0])
    got = jaxplain.explain(score.model, batch, score.target, method=name, **{word: value})
    explain = getattr(jaxplain.methods, name)
    want = jax.jit(jax.vmap(lambda x: explain(score, x, **{word: jnp.asarray(value)})))(batch)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=1000, scale=float(np.abs(want).max())))
