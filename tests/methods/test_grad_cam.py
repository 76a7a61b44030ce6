"""Grad-CAM against CAM, against hand-made golden values, and on layers that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

import jaxplain
from jaxplain.methods import grad_cam
from jaxplain.testing import tol

ACTIVATION = jnp.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
GRADIENT = jnp.array([[1.0, -1.0], [2.0, 0.0]])[..., None]


def test_weight_is_the_mean_gradient():
    """Activation (1 2; 3 4) with gradient (1 -1; 2 0) has the weight 0.5."""
    got = grad_cam(lambda x: jnp.sum(GRADIENT * checkpoint_name(x, "a")), ACTIVATION, layer="a")
    np.testing.assert_allclose(got, 0.5 * ACTIVATION[..., 0], **tol(np.float32))


def test_equals_cam_over_z_on_global_average_pooling(x64):
    rng = np.random.default_rng(0)
    kernel, head = rng.normal(size=(2, 6)), rng.normal(size=(6, 3))

    def logits(x):
        features = checkpoint_name(jnp.tanh(x @ kernel), "features")
        return jnp.mean(features, axis=(0, 1)) @ head

    x = jnp.asarray(rng.normal(size=(4, 5, 2)))
    cam = np.moveaxis(np.tanh(x @ kernel) @ head, -1, 0)
    for relu in (True, False):
        got = grad_cam(logits, x, layer="features", relu=relu)
        np.testing.assert_allclose(got, (np.maximum(cam, 0) if relu else cam) / 20, **tol(np.float64, terms=60))


def test_two_convolutions_by_hand():
    """A 4x4 image 0...15, two all-ones 3x3 convolutions with biases -50 and -75, at the ReLU and before it."""
    image = jnp.arange(16.0).reshape(4, 4, 1)

    def f(x):
        ones = jnp.ones((3, 3, 1, 2))
        sums = jax.lax.conv_general_dilated(x[None], ones, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))[
            0
        ]
        before = checkpoint_name(sums - jnp.array([50.0, 75.0]).reshape(1, 1, 2), "before")
        after = checkpoint_name(jax.nn.relu(before), "after")
        weights = jnp.stack([jnp.ones((2, 2)), jnp.array([[1.0, -1.0], [-1.0, -1.0]])], axis=-1)
        return jax.nn.relu(jnp.sum(weights * after))

    np.testing.assert_allclose(f(image), 54)
    knobs = {"relu": False, "upsample": None}
    np.testing.assert_allclose(grad_cam(f, image, layer="before", **knobs), [[11.25, 13.5], [20.25, 22.5]])
    np.testing.assert_allclose(grad_cam(f, image, layer="after", **knobs), [[0, 4], [28, 32.5]])
    nearest = grad_cam(f, image, layer="after", relu=False, upsample="nearest")
    np.testing.assert_allclose(nearest, np.kron([[0, 4], [28, 32.5]], np.ones((2, 2))))


def test_batched_at_the_layers_own_resolution():
    model = jaxplain.testing.networks.smooth_network()
    images = jaxplain.testing.networks.images(5)
    maps = jaxplain.explain(model, images, jaxplain.Predicted(), method="grad_cam", layer="features", upsample=None)
    assert maps.shape == (5, 6, 5)
    full = jaxplain.explain(model, images, jaxplain.Predicted(), method="grad_cam", layer="features", batch=2)
    assert full.shape == (5, 12, 10)


def test_unknown_layer_names_the_nearest():
    with pytest.raises(jaxplain.InputError, match="did you mean 'features'"):
        grad_cam(lambda x: jnp.sum(checkpoint_name(x, "features")), ACTIVATION, layer="feature")


def test_layers_without_space_are_refused():
    flat = lambda x: jnp.sum(checkpoint_name(x.reshape(-1) * 2, "flat"))  # noqa: E731
    with pytest.raises(jaxplain.InputError, match="before the pooling"):
        grad_cam(flat, ACTIVATION, layer="flat")
    tokens = lambda x: jnp.sum(checkpoint_name(x.reshape(-1, 1) * 2, "tokens"))  # noqa: E731
    with pytest.raises(jaxplain.InputError, match="upsample=None"):
        grad_cam(tokens, ACTIVATION, layer="tokens")
    assert grad_cam(tokens, ACTIVATION, layer="tokens", upsample=None).shape == (4,)
