"""Small networks for tests: bare functions with a tagged layer, smooth or piecewise linear."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxplain._typing import PyTree
from jaxplain.core.model import Model

SHAPE = (12, 10, 2)
CLASSES = 5
LAYER = "features"
"""Name of the tagged layer, for methods that need one."""


def smooth_network(seed: int = 0) -> Model:
    """Return a network with tanh and softplus, so that all its derivatives are continuous.

    The tagged layer is not negative, as the CAM formulas suppose: with negative activations the weights of Grad-CAM++
    have poles, near which rounding is amplified without bound.

    Example:
        >>> smooth_network()(jnp.zeros((2, *SHAPE))).shape
        (2, 5)
    """
    return Model(_parameters(seed), _smooth)


def relu_network(seed: int = 0) -> Model:
    """Return the same network with ReLU and max-pooling.

    Example:
        >>> relu_network()(jnp.zeros((2, *SHAPE))).shape
        (2, 5)
    """
    return Model(_parameters(seed), _relu)


def images(n: int, seed: int = 0) -> np.ndarray:
    """Return n random images of the networks' input shape, float32."""
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


def _parameters(seed: int) -> PyTree:
    keys = jax.random.split(jax.random.key(seed), 4)
    return {
        "conv1": jax.random.normal(keys[0], (3, 3, SHAPE[-1], 6)) / 3,
        "conv2": jax.random.normal(keys[1], (3, 3, 6, 8)) / 5,
        "bias": jax.random.normal(keys[2], (8,)) / 2,
        "head": jax.random.normal(keys[3], (8 * 6 * 5, CLASSES)) / 8,
    }


def _smooth(params: PyTree, batch: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
    hidden = jnp.tanh(_conv(batch, params["conv1"], 1))
    return _head(params, checkpoint_name(jax.nn.softplus(_biased(params, hidden)), LAYER))


def _relu(params: PyTree, batch: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
    hidden = jax.nn.relu(_conv(batch, params["conv1"], 1))
    hidden = jax.lax.reduce_window(hidden, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    return _head(params, checkpoint_name(jax.nn.relu(_biased(params, hidden)), LAYER))


def _biased(params: PyTree, hidden: Array) -> Array:
    return _conv(hidden, params["conv2"], 2) + params["bias"].astype(hidden.dtype).reshape(1, 1, 1, -1)


def _head(params: PyTree, features: Array) -> Array:
    return features.reshape(features.shape[0], -1) @ params["head"].astype(features.dtype)


def _conv(x: Array, kernel: Array, stride: int) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel.astype(x.dtype), (stride, stride), "SAME", dimension_numbers=numbers)
