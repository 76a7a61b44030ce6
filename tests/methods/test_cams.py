"""The CAMs against formulas, exact properties and each other; the hand-made values are closed forms of their own."""

import itertools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

import jaxplain
from jaxplain import methods
from jaxplain.core.score import Score
from jaxplain.testing import networks, tol
from jaxplain.testing.cams import ACTIVATION, GRADIENT, LAYER

OF_GRADIENTS = ("grad_cam", "grad_cam_pp", "xgrad_cam", "hires_cam", "layer_cam", "eigen_grad_cam", "shapley_cam")
OF_SEVERAL = ("grad_cam", "grad_cam_pp", "xgrad_cam", "hires_cam", "layer_cam", "eigen_cam", "eigen_grad_cam")
CAMS = (*OF_GRADIENTS, "eigen_cam", "score_cam", "ablation_cam", "smooth_grad_cam_pp")


def cam(name, f, x, layer=LAYER, **knobs):
    """A method's map, with a key where it takes one."""
    if name == "smooth_grad_cam_pp":
        knobs = {"key": jax.random.key(1), "n_samples": 3, **knobs}
    return getattr(methods, name)(f, x, layer=layer, **knobs)


def linear(x):
    """The score of the hand-made values."""
    return jnp.sum(jnp.asarray(GRADIENT, x.dtype) * checkpoint_name(x, LAYER))


# Golden vectors


@pytest.mark.parametrize(("denominator", "weight"), [("activation_sum", 0.174242), ("product_sum", 0.298065)])
def test_grad_cam_pp_golden_weight(denominator, weight):
    """Activation (1 2; 3 4) with gradient (1 -1; 2 0)."""
    activation = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    gradient = jnp.array([[1.0, -1.0], [2.0, 0.0]])
    got = methods.grad_cam_pp(
        lambda x: jnp.sum(gradient[..., None] * checkpoint_name(x, "a")),
        activation[..., None],
        layer="a",
        denominator=denominator,
    )
    np.testing.assert_allclose(got, weight * activation, atol=5e-6)


def test_on_global_average_pooling_all_follow_from_cam(x64):
    """With gradient w / Z everywhere: CAM / Z, and Z relu(g) / (2 + S g) as the weights of Grad-CAM++."""
    rng = np.random.default_rng(0)
    kernel, head = rng.normal(size=(2, 6)), rng.normal(size=(6, 3))
    x = rng.normal(size=(4, 5, 2))
    features = np.exp(x @ kernel)

    def logits(x):
        return jnp.mean(checkpoint_name(jnp.exp(x @ kernel), LAYER), axis=(0, 1)) @ head

    want = np.moveaxis(features @ head, -1, 0) / 20
    for name in ("grad_cam", "hires_cam", "xgrad_cam", "shapley_cam"):
        got = cam(name, logits, jnp.asarray(x), relu=False)
        np.testing.assert_allclose(got, want, **tol(np.float64, terms=60, scale=np.abs(want).max()))
    gradient, total = head / 20, features.sum((0, 1))
    weights = 20 * np.maximum(gradient, 0) / (2 + total[:, None] * gradient)
    got = cam("grad_cam_pp", logits, jnp.asarray(x), relu=False)
    np.testing.assert_allclose(got, np.moveaxis(features @ weights, -1, 0), **tol(np.float64, terms=60, scale=10.0))


# Formulas in NumPy on a network with curvature


def network(head):
    """Two scores that are not linear in the layer: gradients differ from place to place."""

    def f(x):
        features = checkpoint_name(jnp.sin(x), LAYER)
        return jnp.tanh(jnp.stack([jnp.sum(jnp.asarray(weight, x.dtype) * features**2) for weight in head]))

    return f


def by_hand(head, x):
    """Activations and gradients of ``network``."""
    features = np.sin(x)
    slopes = np.stack([2 * w * features * (1 - np.tanh(np.sum(w * features**2)) ** 2) for w in head])
    return features, slopes


FORMULAS = {
    "grad_cam": lambda a, g: a @ g.mean((0, 1)),
    "xgrad_cam": lambda a, g: a @ ((g * a).sum((0, 1)) / a.sum((0, 1))),
    "hires_cam": lambda a, g: (g * a).sum(-1),
    "layer_cam": lambda a, g: (np.maximum(g, 0) * a).sum(-1),
    "grad_cam_pp": lambda a, g: (
        a @ (g**2 / (2 * g**2 + a.sum((0, 1), keepdims=True) * g**3) * np.maximum(g, 0)).sum((0, 1))
    ),
    "eigen_cam": lambda a, g: principal(a),
    "eigen_grad_cam": lambda a, g: principal(g * a),
}


def principal(values):
    """The first component by NumPy's SVD, with the sign of the sum over channels."""
    rows = values.reshape(-1, values.shape[-1])
    loading = np.linalg.svd(rows, full_matrices=False)[2][0]
    return (rows @ loading * np.sign(loading.sum())).reshape(values.shape[:-1])


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("shape", [(3, 4, 2), (2, 2, 7)], ids=["tall", "wide"])
def test_formula(x64, name, shape):
    rng = np.random.default_rng(3)
    x, head = rng.normal(size=shape), 0.3 * rng.normal(size=(2, *shape))
    features, slopes = by_hand(head, x)
    want = np.stack([FORMULAS[name](features, slope) for slope in slopes])
    size = np.abs(want).max()
    for relu, shown in ((False, want), (True, np.maximum(want, 0))):
        got = cam(name, network(head), jnp.asarray(x), relu=relu)
        np.testing.assert_allclose(got, shown, **tol(np.float64, terms=100, scale=size, safety=64))


def test_shapley_cam_gives_the_shapley_values_of_a_quadratic_game(x64):
    """One position, four channels: the map is the sum of their values, each a mean over all orders."""
    rng = np.random.default_rng(4)
    matrix, slope, x = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)

    def game(v):
        return v @ matrix @ v + slope @ v

    values = np.zeros(4)
    for order in itertools.permutations(range(4)):
        for place, channel in enumerate(order):
            before, after = np.isin(np.arange(4), order[:place]), np.isin(np.arange(4), order[: place + 1])
            values[channel] += (game(x * after) - game(x * before)) / math.factorial(4)
    np.testing.assert_allclose(values.sum(), game(x))

    def f(v):
        return game(checkpoint_name(v, LAYER)[0, 0])

    for channel in range(4):  # a second position with one channel shows that channel's value, at half the mean
        alone = jnp.asarray(np.stack([x, 10.0 * (np.arange(4) == channel)])[None])
        got = methods.shapley_cam(f, alone, layer=LAYER, relu=False)
        np.testing.assert_allclose(got[0, 1] * x[channel] / 10 * 2, values[channel], **tol(np.float64, scale=10.0))
    got = methods.shapley_cam(f, jnp.asarray(x)[None, None], layer=LAYER, relu=False)
    np.testing.assert_allclose(got, [[game(x)]], **tol(np.float64, terms=16, scale=10.0))


# Score-CAM and Ablation-CAM against loops


def test_score_cam_is_a_loop_over_masks():
    x = jnp.asarray(networks.images(1)[0])
    f = Score(networks.relu_network(), jaxplain.Logits(jnp.array([1, 3])))
    features = np.asarray(jaxplain.tap(f, LAYER)(x)[1])
    scores = []
    for channel in np.moveaxis(features, -1, 0):
        mask = np.asarray(jax.image.resize(channel, x.shape[:2], "bilinear", antialias=False))
        mask = (mask - mask.min()) / (np.ptp(mask) or 1)  # a channel that is constant masks everything
        scores.append(np.asarray(f(x * mask[..., None])))
    weights = np.asarray(jax.nn.softmax(jnp.asarray(scores), axis=0))
    want = np.moveaxis(features @ weights, -1, 0)
    got = methods.score_cam(f, x, layer=LAYER, upsample=None, chunk=3)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=300, scale=want.max()))


def test_ablation_cam_is_a_loop_over_channels():
    x = jnp.asarray(networks.images(1)[0])
    f = Score(networks.relu_network(), jaxplain.Logits(jnp.array([1, 3])))
    features = np.asarray(jaxplain.tap(f, LAYER)(x)[1])
    head = np.asarray(networks.relu_network().params["head"])[:, [1, 3]]
    whole = features.reshape(-1) @ head
    drops = [whole - np.where(np.arange(8) == k, 0, features).reshape(-1) @ head for k in range(8)]
    want = np.moveaxis(features @ np.stack(drops), -1, 0)
    limits = tol(np.float32, terms=300, scale=np.abs(want).max())
    got = methods.ablation_cam(f, x, layer=LAYER, relative=False, relu=False, upsample=None, chunk=3)
    np.testing.assert_allclose(got, want, **limits)
    got = methods.ablation_cam(f, x, layer=LAYER, relu=False, upsample=None)
    np.testing.assert_allclose(got * whole[:, None, None], want, **limits)


# What all of them share


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", CAMS)
def test_zeros_and_bfloat16(name, dtype):
    """No gradient, no activation and a score of zero give zeros; plain values come near those in float32."""
    x = jnp.asarray(ACTIVATION, dtype)
    dead = cam(name, lambda x: jnp.sum(jax.nn.relu(checkpoint_name(x, LAYER) - 50)), x)
    empty = cam(name, linear, jnp.zeros_like(x))
    alive = cam(name, linear, x)
    assert dead.dtype == empty.dtype == alive.dtype == dtype
    np.testing.assert_array_equal(empty.astype(jnp.float32), 0)
    if name in ("eigen_cam", "score_cam"):  # no gradient takes part
        assert np.isfinite(dead.astype(jnp.float32)).all()
    else:
        np.testing.assert_array_equal(dead.astype(jnp.float32), 0)
    want = np.asarray(cam(name, linear, jnp.asarray(ACTIVATION, jnp.float32)))
    np.testing.assert_allclose(alive.astype(jnp.float32), want, **tol(dtype, terms=8, scale=want.max()))


@pytest.mark.parametrize("name", ["grad_cam_pp", "eigen_grad_cam", "smooth_grad_cam_pp"])
def test_small_gradients_do_not_underflow(name):
    """Their squares and cubes are below float32; Grad-CAM++ then has alpha = 1/2, the last term being negligible."""
    x = jnp.asarray(ACTIVATION, jnp.float32)
    tiny = cam(name, lambda x: 1e-25 * linear(x), x)
    if name == "eigen_grad_cam":
        want = 1e-25 * cam(name, linear, x)
    else:
        want = 1e-25 * ACTIVATION @ np.maximum(GRADIENT, 0).sum((0, 1)) / 2
    np.testing.assert_allclose(tiny, want, rtol=1e-5)


@pytest.mark.parametrize("name", CAMS)
def test_layers_without_space_are_refused(name):
    x = jnp.asarray(ACTIVATION, jnp.float32)
    with pytest.raises(jaxplain.InputError, match=rf"^{name}: .*\(8,\).*before the pooling or flattening"):
        cam(name, lambda x: jnp.sum(checkpoint_name(x.reshape(-1) * 2, "flat")), x, layer="flat")
    tokens = lambda x: jnp.sum(checkpoint_name(x.reshape(-1, 2) * 2, "tokens"))  # noqa: E731
    with pytest.raises(jaxplain.InputError, match=rf"^{name}: "):
        cam(name, tokens, x, layer="tokens")
    if name != "score_cam":  # its masks need the example's space
        assert cam(name, tokens, x, layer="tokens", upsample=None).shape == (4,)


def two_layers(x):
    """A layer of 4 x 4 positions and one of 2 x 2."""
    early = checkpoint_name(jnp.tanh(x * jnp.array([1.0, -2.0]).reshape(1, 1, 2)), "early")
    late = checkpoint_name(early.reshape(2, 2, 2, 2, 2).sum((1, 3)), "late")
    return jnp.stack([jnp.sum(late**2), jnp.sum(jnp.sin(late))])


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_several_layers_give_the_mean_of_their_maps(name):
    x = jnp.asarray(networks.images(1)[0][:4, :4])
    got = cam(name, two_layers, x, layer=("early", "late"))
    want = (cam(name, two_layers, x, layer="early") + cam(name, two_layers, x, layer="late")) / 2
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=64, scale=float(jnp.abs(want).max())))
    with pytest.raises(jaxplain.InputError, match=f"{name}: .*average them at the example's size"):
        cam(name, two_layers, x, layer=("early", "late"), upsample=None)


# Any framework, through the engine


class LinenNetwork(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x))
        return nn.Dense(3, name="head")(x.reshape(x.shape[0], -1))


class NnxNetwork(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(2, 4, (3, 3), rngs=rngs)
        self.head = nnx.Linear(6 * 5 * 4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.conv(x)).reshape(x.shape[0], -1))


def bare(params, x):
    """The same network as a function."""
    numbers = ("NHWC", "HWIO", "NHWC")
    conv = params["params"]["conv"]
    x = jax.lax.conv_general_dilated(x, conv["kernel"], (1, 1), "SAME", dimension_numbers=numbers)
    x = jax.nn.relu(checkpoint_name(x + conv["bias"].reshape(1, 1, 1, -1), "conv"))
    return x.reshape(x.shape[0], -1) @ params["params"]["head"]["kernel"]


@pytest.mark.parametrize("name", CAMS)
def test_frameworks_agree_through_the_engine(name):
    images = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype(np.float32)
    linen, own = LinenNetwork(), NnxNetwork(nnx.Rngs(0))
    variables = linen.init(jax.random.key(0), images)
    for part in ("conv", "head"):
        for leaf, value in variables["params"][part].items():
            getattr(getattr(own, part), leaf)[...] = value
    models = (
        jaxplain.from_linen(linen, variables),
        jaxplain.from_nnx(own),
        jaxplain.from_function(bare, variables),
    )
    knobs = {"n_samples": 3, "key": jax.random.key(0)} if name == "smooth_grad_cam_pp" else {}
    maps = [
        jaxplain.explain(model, images, jaxplain.Logits(jnp.array([0, 2])), method=name, layer="conv", **knobs)
        for model in models
    ]
    assert maps[0].shape == (3, 2, 6, 5) and np.abs(maps[0]).max() > 0
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], **tol(np.float32, terms=256, scale=np.abs(maps[0]).max(), safety=64))
