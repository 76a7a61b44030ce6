"""The layers of the bare forms: functions of a layer's weights, from the primitives that Flax uses."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain._typing import Array, PyTree

Weights = Mapping[str, Array]


def convolution(weights: Weights, x: Array, stride: int = 1, *, groups: int = 1) -> Array:
    """Convolve ``(batch, *space, channels)`` with padding "SAME"."""
    kernel, strides = weights["kernel"], (stride,) * (x.ndim - 2)
    x = lax.conv_general_dilated(
        x, kernel, strides, "SAME", dimension_numbers=_numbers(x.ndim), feature_group_count=groups
    )
    return x + _row(weights["bias"], x.ndim) if "bias" in weights else x


def transposed_convolution(weights: Weights, x: Array, stride: int) -> Array:
    """Spread every position over ``stride`` positions along each axis of space, padding "SAME"."""
    x = lax.conv_transpose(x, weights["kernel"], (stride,) * (x.ndim - 2), "SAME", dimension_numbers=_numbers(x.ndim))
    return x + _row(weights["bias"], x.ndim)


def dense(weights: Weights, x: Array) -> Array:
    """Multiply the last axis by a matrix."""
    return lax.dot_general(x, weights["kernel"], (((x.ndim - 1,), (0,)), ((), ()))) + _row(weights["bias"], x.ndim)


def batch_norm(weights: Weights, x: Array) -> Array:
    """Normalize by running statistics."""
    factor = lax.rsqrt(_row(weights["var"], x.ndim) + 1e-5) * _row(weights["scale"], x.ndim)
    return (x - _row(weights["mean"], x.ndim)) * factor + _row(weights["bias"], x.ndim)


def layer_norm(weights: Weights, x: Array) -> Array:
    """Normalize over channels, the variance as mean square less squared mean."""
    mean = jnp.mean(x, -1, keepdims=True)
    variance = jnp.maximum(0.0, jnp.mean(lax.square(x), -1, keepdims=True) - lax.square(mean))
    factor = lax.rsqrt(variance + 1e-6) * _row(weights["scale"], x.ndim)
    return (x - mean) * factor + _row(weights["bias"], x.ndim)


def max_pool(x: Array, size: int = 2) -> Array:
    """Take the largest value of each block of space."""
    window = (1, *(size,) * (x.ndim - 2), 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def global_mean(x: Array) -> Array:
    """Average over space."""
    return jnp.mean(x, axis=tuple(range(1, x.ndim - 1)))


def chain(
    block: Callable[[PyTree, Array], Array], weights: Sequence[PyTree], x: Array, *, remat: bool, scan: bool = False
) -> Array:
    """Run a block with several sets of weights, one after the other: by ``jax.checkpoint``, by ``lax.scan``."""
    block = jax.checkpoint(block) if remat else block
    if scan:
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights)
        return lax.scan(lambda hidden, layer: (block(layer, hidden), None), x, stacked)[0]
    for layer in weights:
        x = block(layer, x)
    return x


def _row(vector: Array, ndim: int) -> Array:
    return vector.reshape((1,) * (ndim - 1) + (-1,))


def _numbers(ndim: int) -> lax.ConvDimensionNumbers:
    """Channels last, as Flax has it."""
    image, space = (0, ndim - 1, *range(1, ndim - 1)), tuple(range(ndim - 2))
    return lax.ConvDimensionNumbers(image, (ndim - 1, ndim - 2, *space), image)
