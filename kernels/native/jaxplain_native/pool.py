"""Max-pooling that keeps the winner's number in each window, and the way back by those numbers.

Arrays are (batch, *space, channels) with one to three spatial axes. An axis added by ``vmap`` joins the batch. Neither
function has a derivative of its own: they are what a custom rule is made of.
"""

from collections.abc import Sequence
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from jaxplain_native.library import POOL, SEND_BACK, call

Array = jax.Array
Sizes = Sequence[int]
Pads = Sequence[tuple[int, int]]


def pool_refusal(shape: Sizes, window: Sizes, strides: Sizes, padding: Pads) -> str:
    """Return why a pooling of float32 is not served, or ``""``."""
    if not 3 <= len(shape) <= 5:
        return f"it has one to three axes between batch and channels, and this is of shape {tuple(shape)}"
    outer = (0, -1)
    if any((window[axis], strides[axis], tuple(padding[axis])) != (1, 1, (0, 0)) for axis in outer):
        return "the window covers batch or channels"
    if prod(window) > np.iinfo(np.int8).max:
        return f"a window of {prod(window)} positions has more than {np.iinfo(np.int8).max}"
    if any(width < 0 for pads in padding for width in pads):
        return "the padding is negative"
    return "" if prod(_pooled(shape, window, strides, padding)) else "an axis has length zero"


def pool_with_winners(x: Array, window: Sizes, strides: Sizes, padding: Pads) -> tuple[Array, Array]:
    """Return the largest value of each window and the number of its position there, int8.

    Ties go to the first position in row-major order; a NaN wins and stays; padding never wins over a value.

    Args:
        x: The input, float32.
        window: Size of the window along every axis of x.
        strides: Its step along every axis.
        padding: Positions added before and after along every axis.
    """

    @custom_vmap
    def run(x: Array) -> tuple[Array, Array]:
        shape = _pooled(x.shape, window, strides, padding)
        results = (jax.ShapeDtypeStruct(shape, jnp.float32), jax.ShapeDtypeStruct(shape, jnp.int8))
        pooled, winners = call(POOL, results, x, geometry=_geometry(x.shape, window, strides, padding))
        return pooled, winners

    @run.def_vmap
    def rule(n: int, batched: Sequence[bool], x: Array) -> tuple[tuple[Array, Array], tuple[bool, bool]]:
        found = pool_with_winners(_joined(x), window, strides, padding)
        pooled, winners = (one.reshape(n, -1, *one.shape[1:]) for one in found)
        return (pooled, winners), (True, True)

    found: tuple[Array, Array] = run(x)
    return found


def send_back(cotangent: Array, winners: Array, shape: Sizes, window: Sizes, strides: Sizes, padding: Pads) -> Array:
    """Return the cotangent of the input: each window's goes to its winner.

    Args:
        cotangent: Of the pooled values.
        winners: From ``pool_with_winners``.
        shape: The input's shape.
        window: Size of the window along every axis of the input.
        strides: Its step along every axis.
        padding: Positions added before and after along every axis.
    """

    @custom_vmap
    def run(cotangent: Array, winners: Array) -> Array:
        settings = _geometry(shape, window, strides, padding)
        found: Array = call(
            SEND_BACK, jax.ShapeDtypeStruct(tuple(shape), jnp.float32), cotangent, winners, geometry=settings
        )
        return found

    @run.def_vmap
    def rule(n: int, batched: Sequence[bool], *operands: Array) -> tuple[Array, bool]:
        sent, won = (
            _joined(array if moves else jnp.broadcast_to(array[None], (n, *array.shape)))
            for array, moves in zip(operands, batched, strict=True)
        )
        found = send_back(sent, won, (n * shape[0], *shape[1:]), window, strides, padding)
        return found.reshape(n, *shape), True

    found: Array = run(cotangent, winners)
    return found


def _joined(array: Array) -> Array:
    return array.reshape(-1, *array.shape[2:])


def _pooled(shape: Sizes, window: Sizes, strides: Sizes, padding: Pads) -> tuple[int, ...]:
    return tuple(
        max((size + low + high - width) // step + 1, 0)
        for size, width, step, (low, high) in zip(shape, window, strides, padding, strict=True)
    )


def _geometry(shape: Sizes, window: Sizes, strides: Sizes, padding: Pads) -> np.ndarray:
    """Return the list of integers that ``pool.cc`` reads: batch, channels, and five numbers per spatial axis."""
    pooled = _pooled(shape, window, strides, padding)
    lows = [low for low, _ in padding]
    axes = list(zip(shape, pooled, window, strides, lows, strict=True))[1:-1]
    axes = [(1, 1, 1, 1, 0)] * (3 - len(axes)) + axes
    return np.asarray([shape[0], shape[-1], *(number for axis in axes for number in axis)], np.int64)
