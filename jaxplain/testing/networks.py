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


def attention_network(seed: int = 0) -> Model:
    """Return a network of two attention layers over patches of 2 x 2 and a class token, with smooth derivatives.

    Example:
        >>> attention_network()(jnp.zeros((2, *SHAPE))).shape
        (2, 5)
    """
    n_patches, width = SHAPE[0] * SHAPE[1] // 4, 8
    keys = jax.random.split(jax.random.key(seed), 5)
    shapes = {
        "patch": (2, 2, SHAPE[-1], width),
        "position": (n_patches + 1, width),
        "mixing": (2, 3, width, 2, width // 2),
        "out": (2, 2, width // 2, width),
        "head": (width, CLASSES),
    }
    pairs = zip(keys, shapes.items(), strict=True)
    params = {name: jax.random.normal(key, shape) * (2 / width**0.5) for key, (name, shape) in pairs}
    return Model(params, _attending)


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


def _attending(params: PyTree, batch: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
    p = jax.tree.map(lambda leaf: leaf.astype(batch.dtype), params)
    patches = checkpoint_name(_conv(batch, p["patch"], 2), LAYER)
    patches = patches.reshape(batch.shape[0], -1, patches.shape[-1])
    tokens = jnp.pad(patches, ((0, 0), (1, 0), (0, 0))) + p["position"][None]
    for mixing, out in zip(p["mixing"], p["out"], strict=True):
        query, key, value = jnp.einsum("bnc,pchd->pbhnd", tokens, mixing)
        attention = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", query, key) / 2)
        tokens = jnp.tanh(tokens + jnp.einsum("bhqk,bhkd,hdc->bqc", attention, value, out))
    return tokens[:, 0] @ p["head"]


def _biased(params: PyTree, hidden: Array) -> Array:
    return _conv(hidden, params["conv2"], 2) + params["bias"].astype(hidden.dtype).reshape(1, 1, 1, -1)


def _head(params: PyTree, features: Array) -> Array:
    return features.reshape(features.shape[0], -1) @ params["head"].astype(features.dtype)


def _conv(x: Array, kernel: Array, stride: int) -> Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel.astype(x.dtype), (stride, stride), "SAME", dimension_numbers=numbers)
