"""ViT, ConvNeXt and U-Nets: published sizes and names, and explanations by methods that look inside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import methods
from jaxplain._errors import InputError
from jaxplain.graph.composites.difference.composite import DEEPLIFT
from jaxplain.methods.lrp.entries import entries
from jaxplain.models import ARCHITECTURES
from jaxplain.testing import tol
from tests.models.comparison import images
from tests.models.families import SMALL, small_model

LAYERS = {
    "vit_s_16": "conv_proj",
    "convnext_tiny": "features",
    "unet_2d": "bottleneck",
    "unet_3d": "bottleneck",
}
"""A layer with space, of every family."""
CHEAP = [  # the U-Nets compile for seconds
    pytest.param(name, marks=[pytest.mark.slow] if name.startswith("unet") else []) for name in SMALL
]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("vit_b_16", 86_567_656),
        ("vit_s_16", 22_050_664),
        ("deit_s_16", 22_050_664),
        ("deit_t_16", 5_717_416),
        ("convnext_tiny", 28_589_128),
        ("unet_2d", 7_763_041),
        ("unet_3d", 22_578_273),
    ],
)
def test_the_published_number_of_parameters(name, parameters):
    leaves = jax.tree.leaves(ARCHITECTURES[name].variables()["params"])
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == parameters


@pytest.mark.parametrize("name", SMALL)
def test_every_block_has_a_rule(name):
    f, x = score(name)
    for rules in (entries(f, x, "epsilon_plus", None, None), entries(f, x, "attn_lrp", None, None), DEEPLIFT):
        assert "NO RULE" not in jaxplain.audit(f, x, rules, unknown="raise").counts()


@pytest.mark.parametrize("name", CHEAP)
def test_maps_are_those_of_the_score(name):
    """Gradients give its derivative along a direction, contributions its change; relevance is finite."""
    f, x = score(name)
    direction, baseline = jnp.cos(x), jnp.zeros_like(x)

    @jax.jit
    def explained(x):
        derivative = jax.jvp(f, (x,), (direction,))[1]
        contributions = methods.deeplift(f, x, baseline=baseline)
        relevance = methods.lrp(f, x, composite="attn_lrp")
        return (methods.gradient(f, x) * direction, derivative), (contributions, f(x) - f(baseline)), relevance

    *pairs, relevance = explained(x)
    for terms, total in pairs:
        scale = float(np.abs(terms).max())
        np.testing.assert_allclose(terms.sum(), total, **tol(np.float32, terms=64 * x.size, scale=scale))
    assert relevance.shape == x.shape and np.isfinite(relevance).all() and np.ptp(relevance) > 0


@pytest.mark.parametrize("name", CHEAP)
def test_grad_cam_weights_a_layer_by_its_gradients(name):
    f, x = score(name)
    opened = jaxplain.tap(f, LAYERS[name])
    _, shape = jax.eval_shape(opened, x)

    @jax.jit
    def explained(x):
        gradient, activation = jax.grad(opened, 1, has_aux=True)(x, jnp.zeros(shape.shape))
        return gradient, activation, methods.grad_cam(f, x, layer=LAYERS[name], relu=False, upsample=None)

    gradient, activation, cam = map(np.asarray, explained(x))
    weights = gradient.mean(tuple(range(gradient.ndim - 1)))
    want = (weights * activation).sum(-1)
    np.testing.assert_allclose(cam, want, **tol(np.float32, terms=activation.size, scale=float(np.abs(want).max())))
    assert np.abs(cam).max() > 0


def test_attention_rollout_reads_the_attention_of_the_class_token():
    """Against the formula in NumPy: from the last layer to the first, half attention and half shortcut."""
    f, x = score("vit_s_16")
    layers = [f"encoder/layers/encoder_layer_{number}" for number in range(2)]
    names = tuple(f"{layer}/ln_1" for layer in layers)
    got, tokens = jax.jit(lambda x: (methods.attention_rollout(f, x, upsample=None), jaxplain.tap(f, names)(x)[1]))(x)
    row = np.eye(10)[0]
    for number in (1, 0):
        blocks = small_model("vit_s_16").params["params"]["encoder"]["layers"]
        weights = jax.tree.map(np.asarray, blocks[f"encoder_layer_{number}"]["self_attention"])
        joint = np.asarray(tokens[number]) @ weights["in_proj_weight"].T + weights["in_proj_bias"]
        query, key, _ = joint.reshape(10, 3, 3, 4).transpose(1, 2, 0, 3)  # 3 heads of 4 channels
        attention = np.exp(query @ key.transpose(0, 2, 1) / 2)
        attention /= attention.sum(-1, keepdims=True)
        row = row @ (attention.mean(0) + np.eye(10)) / 2
    np.testing.assert_allclose(got, row[1:].reshape(3, 3), **tol(np.float32, terms=64))


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("vit_s_16", (1, 40, 48, 3), "images of 40 x 48 do not divide into patches of 16 x 16"),
        ("unet_2d", (1, 40, 48, 3), r"the space \(40, 48\) cannot be halved 4 times; pad its sides"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(name, shape, words):
    module = SMALL[name].module()
    with pytest.raises(InputError, match=words):
        jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))


def score(name):
    """The score of one image, and the image."""
    model = small_model(name)
    return lambda x: target(name)(model(x[None])[0]), jnp.asarray(images(SMALL[name].input_shape, 1)[0])


def target(name):
    if name.startswith("unet"):
        return jaxplain.ClassMask(1, jnp.ones(SMALL[name].input_shape[:-1]))
    return jaxplain.Logit(1)
