"""Convolutions by oneDNN, differentiable any number of times in reverse mode, under ``jit``, ``vmap`` and ``scan``.

``convolve`` and ``pull_back`` are linear in the input and in the weights, and each is the other's transpose in the
input; the cotangent of the weights is left to XLA. An axis added by ``vmap`` joins the batch; with weights that carry
such an axis themselves, XLA serves.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap

from jaxplain_native.geometry import FORWARD, PULL_BACK, Geometry, geometry_of, shared_out
from jaxplain_native.library import CONVOLVE, PACK, plan

Array = jax.Array


def refusal(x: Any, weights: Any, spec: Any) -> str:
    """Return why oneDNN does not serve a convolution, or ``""``.

    Args:
        x: The input, or its shape and dtype.
        weights: The weights, or their shape and dtype.
        spec: The settings, by the names of the parameters of ``lax.conv_general_dilated``.
    """
    n = len(x.shape) - 2
    last = (0, n + 1, *range(1, n + 1))
    wanted = spec.preferred_element_type
    if not (x.dtype == weights.dtype == jnp.float32) or not (wanted is None or wanted == jnp.float32):
        return f"it computes in float32 alone, and this is {x.dtype} by {weights.dtype} to {wanted or x.dtype}"
    if not 1 <= n <= 3:
        return f"it has one to three spatial axes, and this has {n}"
    if tuple(spec.dimension_numbers) != (last, (n + 1, n, *range(n)), last):
        return "channels must come last, in the kernel input then output channels"
    if any(step != 1 for step in spec.lhs_dilation):
        return "the input is dilated"
    if any(width < 0 for pads in spec.padding for width in pads):
        return "the padding is negative"
    if prod(x.shape) == 0 or prod(weights.shape) == 0:
        return "an axis has length zero"
    one = (1, *x.shape[1:])
    for direction in (FORWARD, PULL_BACK):
        geometry = geometry_of(one, weights.shape, spec, direction)
        if min(geometry.space_out) < 1:
            return "the kernel is larger than the input"
        length, words = plan(geometry.numbers())
        if length < 0:
            return words
    return ""


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: Array, weights: Array, spec: Any) -> Array:
    """Convolve channels-last float32 arrays.

    Args:
        x: The input, (batch, *space, channels).
        weights: The weights, (*space, channels per group, features).
        spec: A hashable with the parameters of ``lax.conv_general_dilated`` by name.

    Returns:
        What ``lax.conv_general_dilated`` returns, up to rounding.

    Raises:
        NotImplementedError: With the reason, where ``refusal`` has one.
    """
    _check(x, weights, spec)
    return _apply(FORWARD, spec, x.shape, x, weights)


def _convolve_forward(x: Array, weights: Array, spec: Any) -> tuple[Array, tuple[Array, Array]]:
    return convolve(x, weights, spec), (x, weights)


def _convolve_backward(spec: Any, kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, weights = kept
    return pull_back(cotangent, weights, x.shape, spec), _of_weights(x, weights, cotangent, spec)


convolve.defvjp(_convolve_forward, _convolve_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def pull_back(cotangent: Array, weights: Array, shape: tuple[int, ...], spec: Any) -> Array:
    """Pull a cotangent of ``convolve`` back to its input.

    Args:
        cotangent: Of the result's shape.
        weights: As for ``convolve``.
        shape: The input's shape.
        spec: As for ``convolve``.
    """
    _check(jax.ShapeDtypeStruct(shape, cotangent.dtype), weights, spec)
    return _apply(PULL_BACK, spec, shape, cotangent, weights)


def _pull_forward(
    cotangent: Array, weights: Array, shape: tuple[int, ...], spec: Any
) -> tuple[Array, tuple[Array, Array]]:
    return pull_back(cotangent, weights, shape, spec), (cotangent, weights)


def _pull_backward(
    shape: tuple[int, ...], spec: Any, kept: tuple[Array, Array], direction: Array
) -> tuple[Array, Array]:
    cotangent, weights = kept
    return convolve(direction, weights, spec), _of_weights(direction, weights, cotangent, spec)


pull_back.defvjp(_pull_forward, _pull_backward)


def _check(x: Any, weights: Any, spec: Any) -> None:
    reason = refusal(x, weights, spec)
    if reason:
        raise NotImplementedError(f"jaxplain_native.convolve: {reason}; use lax.conv_general_dilated.")


def _plain(x: Array, weights: Array, spec: Any) -> Array:
    return lax.conv_general_dilated(x, weights, **spec._asdict())


def _of_weights(x: Array, weights: Array, cotangent: Array, spec: Any) -> Array:
    (found,) = jax.vjp(lambda weights: _plain(x, weights, spec), weights)[1](cotangent)
    return found


def _apply(direction: int, spec: Any, shape: Sequence[int], source: Array, weights: Array) -> Array:
    """Evaluate in one direction; a batched axis of the source joins its batch."""

    @custom_vmap
    def run(source: Array, weights: Array) -> Array:
        return _call(geometry_of(shape, weights.shape, spec, direction), source, weights)

    @run.def_vmap
    def rule(n: int, batched: Sequence[bool], source: Array, weights: Array) -> tuple[Array, bool]:
        if batched[1]:
            axes = tuple(0 if moves else None for moves in batched)
            return jax.vmap(_xla(direction, spec, shape), in_axes=axes)(source, weights), True
        merged = source.reshape(n * source.shape[1], *source.shape[2:])
        result = _apply(direction, spec, (n * shape[0], *shape[1:]), merged, weights)
        return result.reshape(n, -1, *result.shape[1:]), True

    return run(source, weights)


def _xla(direction: int, spec: Any, shape: Sequence[int]) -> Callable[[Array, Array], Array]:
    if direction == FORWARD:
        return lambda x, weights: _plain(x, weights, spec)
    return lambda cotangent, weights: jax.vjp(lambda x: _plain(x, weights, spec), jnp.zeros(shape, cotangent.dtype))[1](
        cotangent
    )[0]


def _call(geometry: Geometry, source: Array, weights: Array) -> Array:
    geometry = shared_out(geometry)
    numbers = geometry.numbers()
    settings = np.asarray(numbers, np.int64)
    length, _ = plan(numbers)
    packed = jax.ffi.ffi_call(PACK, jax.ShapeDtypeStruct((length,), jnp.float32))(weights, geometry=settings)
    shape = geometry.y_shape if geometry.direction == FORWARD else geometry.x_shape
    return jax.ffi.ffi_call(CONVOLVE, jax.ShapeDtypeStruct(shape, jnp.float32))(source, packed, geometry=settings)
