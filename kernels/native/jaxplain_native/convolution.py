"""Convolutions by oneDNN, differentiable any number of times in reverse mode, under ``jit``, ``vmap`` and ``scan``.

``convolve`` and ``pull_back`` are linear in the input and in the weights, and each is the other's transpose in the
input; the cotangents of weights, factors and biases are left to XLA. An axis added by ``vmap`` joins the batch; where
weights, factors or biases carry such an axis themselves, XLA serves.

``convolve`` can also take each sum times a factor, add a bias and another array, and cut it off below zero, before it
is written. ``pull_back`` then takes the cotangent for zero where a result is, while it reads it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap

from jaxplain_native.geometry import (
    ADDEND,
    BIAS,
    FORWARD,
    MASK,
    PULL_BACK,
    RELU,
    SCALE,
    Geometry,
    geometry_of,
    shared_out,
)
from jaxplain_native.library import CONVOLVE, PACK, call, plan

Array = jax.Array
Pull = Callable[..., Array]


def refusal(x: Any, weights: Any, spec: Any, *, extras: int = 0) -> str:
    """Return why oneDNN does not serve a convolution, or ``""``.

    Args:
        x: The input, or its shape and dtype.
        weights: The weights, or their shape and dtype.
        spec: The settings, by the names of the parameters of ``lax.conv_general_dilated``.
        extras: What else is done with each sum, by bits of the module ``geometry``.
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
        geometry = geometry_of(one, weights.shape, spec, direction, extras if direction == FORWARD else 0)
        if min(geometry.space_out) < 1:
            return "the kernel is larger than the input"
        length, words = plan(geometry.numbers())
        if length < 0:
            return words
    return ""


class _Settings(NamedTuple):
    spec: Any
    relu: bool = False
    pull: Pull | None = None


class Operands(NamedTuple):
    """The arrays of one call.

    Args:
        source: The convolution's input or, pulling back, the cotangent of its result.
        weights: The weights.
        scale: A factor of each feature, or None.
        bias: Of each feature, or None.
        addend: Of the result's shape, or None.
        mask: Of the cotangent's shape, or None.
    """

    source: Any
    weights: Any
    scale: Any = None
    bias: Any = None
    addend: Any = None
    mask: Any = None

    def extras(self, relu: bool) -> int:
        """Return what else is done, by bits."""
        bits = {SCALE: self.scale, BIAS: self.bias, ADDEND: self.addend, MASK: self.mask}
        return RELU * relu + sum(bit for bit, array in bits.items() if array is not None)


def convolve(
    x: Array,
    weights: Array,
    spec: Any,
    *,
    scale: Array | None = None,
    bias: Array | None = None,
    addend: Array | None = None,
    relu: bool = False,
    pull: Pull | None = None,
) -> Array:
    """Convolve channels-last float32 arrays: ``relu(conv(x, weights) * scale + bias + addend)``.

    Args:
        x: The input, (batch, *space, channels).
        weights: The weights, (*space, channels per group, features).
        spec: A hashable with the parameters of ``lax.conv_general_dilated`` by name.
        scale: A factor of each sum, (features,); taken into the weights.
        bias: Added to that, (features,).
        addend: Added then, of the result's shape.
        relu: Whether negative sums become zero then; the derivative at zero is zero.
        pull: How a cotangent is brought to the input, called like ``pull_back``, which is the default.

    Returns:
        What ``lax.conv_general_dilated`` and the same operations after it return, up to rounding.

    Raises:
        NotImplementedError: With the reason, where ``refusal`` has one.
    """
    _check(x, weights, spec, Operands(x, weights, scale, bias, addend).extras(relu))
    return _convolve(_Settings(spec, relu, pull), x, weights, scale, bias, addend)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(
    settings: _Settings, x: Array, weights: Array, scale: Array | None, bias: Array | None, addend: Array | None
) -> Array:
    return _apply(FORWARD, settings, x.shape, Operands(x, weights, scale, bias, addend))


def _convolve_forward(settings: _Settings, *operands: Any) -> tuple[Array, Any]:
    x, weights, scale, bias, addend = operands
    y = _convolve(settings, *operands)
    return y, (x, weights, scale, y if settings.relu else None, bias is not None, addend is not None)


def _convolve_backward(settings: _Settings, kept: Any, cotangent: Array) -> tuple[Array | None, ...]:
    x, weights, scale, y, biased, added = kept
    pull, masked = settings.pull or pull_back, _masked(cotangent, y)
    return (
        pull(cotangent, weights, x.shape, settings.spec, scale=scale, mask=y),
        *_of_weights(x, weights, scale, masked, settings.spec),
        jnp.sum(masked, range(masked.ndim - 1)) if biased else None,
        masked if added else None,
    )


_convolve.defvjp(_convolve_forward, _convolve_backward)


def pull_back(
    cotangent: Array,
    weights: Array,
    shape: tuple[int, ...],
    spec: Any,
    *,
    scale: Array | None = None,
    mask: Array | None = None,
) -> Array:
    """Pull a cotangent of ``convolve`` back to its input.

    Args:
        cotangent: Of the result's shape.
        weights: As for ``convolve``.
        shape: The input's shape.
        spec: As for ``convolve``.
        scale: As for ``convolve``.
        mask: Of the cotangent's shape; where it is not positive, the cotangent is taken for zero. With ReLU, the
            result.
    """
    _check(jax.ShapeDtypeStruct(shape, cotangent.dtype), weights, spec)
    return _pull_back(shape, spec, cotangent, weights, scale, mask)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _pull_back(
    shape: tuple[int, ...], spec: Any, cotangent: Array, weights: Array, scale: Array | None, mask: Array | None
) -> Array:
    return _apply(PULL_BACK, _Settings(spec), shape, Operands(cotangent, weights, scale, mask=mask))


def _pull_forward(shape: tuple[int, ...], spec: Any, *operands: Any) -> tuple[Array, Any]:
    return _pull_back(shape, spec, *operands), operands


def _pull_backward(shape: tuple[int, ...], spec: Any, kept: Any, direction: Array) -> tuple[Array | None, ...]:
    cotangent, weights, scale, mask = kept
    return (
        _masked(convolve(direction, weights, spec, scale=scale), mask),
        *_of_weights(direction, weights, scale, _masked(cotangent, mask), spec),
        None,
    )


_pull_back.defvjp(_pull_forward, _pull_backward)


def _check(x: Any, weights: Any, spec: Any, extras: int = 0) -> None:
    reason = refusal(x, weights, spec, extras=extras)
    if reason:
        raise NotImplementedError(f"jaxplain_native.convolve: {reason}; use lax.conv_general_dilated.")


def _masked(cotangent: Array, mask: Array | None) -> Array:
    return cotangent if mask is None else jnp.where(mask > 0, cotangent, jnp.zeros_like(cotangent))


def _scaled(array: Array, scale: Array | None) -> Array:
    return array if scale is None else array * jnp.broadcast_to(scale, array.shape)


def _of_weights(
    x: Array, weights: Array, scale: Array | None, cotangent: Array, spec: Any
) -> tuple[Array, Array | None]:
    """Return the cotangents of the weights and of the factors, of ``cotangent . conv(x, weights) * scale``."""
    (found,) = jax.vjp(lambda weights: _product(x, weights, spec), weights)[1](cotangent)
    of_scale = None if scale is None else jnp.sum(found * weights, range(weights.ndim - 1))
    return _scaled(found, scale), of_scale


def _product(x: Array, weights: Array, spec: Any) -> Array:
    return lax.conv_general_dilated(x, weights, **spec._asdict())


def _apply(direction: int, settings: _Settings, shape: Sequence[int], operands: Operands) -> Array:
    """Evaluate in one direction; a batched axis of the source joins its batch.

    Args:
        direction: ``FORWARD`` or ``PULL_BACK``.
        settings: What is static.
        shape: Of the convolution's input.
        operands: The arrays.
    """

    @custom_vmap
    def run(operands: Operands) -> Array:
        extras = operands.extras(settings.relu)
        return _call(geometry_of(shape, operands.weights.shape, settings.spec, direction, extras), operands)

    @run.def_vmap
    def rule(n: int, batched: Sequence[Operands], operands: Operands) -> tuple[Array, bool]:
        (moves,) = batched
        if moves.weights or moves.scale or moves.bias:
            axes = Operands(*(0 if one else None for one in moves))
            return jax.vmap(partial(_xla, direction, settings, shape), in_axes=(axes,))(operands), True

        def merged(array: Array | None, moves: bool) -> Array | None:
            if array is None:
                return None
            whole = array if moves else jnp.broadcast_to(array[None], (n, *array.shape))
            return whole.reshape(n * whole.shape[1], *whole.shape[2:])

        joined = {name: merged(getattr(operands, name), getattr(moves, name)) for name in ("source", "addend", "mask")}
        found = _apply(direction, settings, (n * shape[0], *shape[1:]), operands._replace(**joined))
        return found.reshape(n, -1, *found.shape[1:]), True

    found: Array = run(operands)
    return found


def _xla(direction: int, settings: _Settings, shape: Sequence[int], operands: Operands) -> Array:
    """Evaluate the same by XLA."""
    source, weights, scale, bias, addend, mask = operands
    if direction == PULL_BACK:
        origin = jnp.zeros(shape, source.dtype)
        cotangent = _scaled(_masked(source, mask), scale)
        return jax.vjp(lambda x: _product(x, weights, settings.spec), origin)[1](cotangent)[0]
    y = _scaled(_product(source, weights, settings.spec), scale)
    if bias is not None:
        y = y + jnp.broadcast_to(bias, y.shape)
    if addend is not None:
        y = y + addend
    return jnp.maximum(y, 0) if settings.relu else y


def _call(geometry: Geometry, operands: Operands) -> Array:
    geometry = shared_out(geometry)
    numbers = geometry.numbers()
    settings = np.asarray(numbers, np.int64)
    length, _ = plan(numbers)
    source, weights, *extras = operands
    scale, *others = (jnp.zeros(0, jnp.float32) if extra is None else extra for extra in extras)
    packed = call(PACK, jax.ShapeDtypeStruct((length,), jnp.float32), weights, scale, geometry=settings)
    shape = geometry.y_shape if geometry.direction == FORWARD else geometry.x_shape
    found: Array = call(CONVOLVE, jax.ShapeDtypeStruct(shape, jnp.float32), source, packed, *others, geometry=settings)
    return found
