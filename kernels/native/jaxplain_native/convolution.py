"""Convolutions by oneDNN, differentiable any number of times in reverse mode, under ``jit``, ``vmap`` and ``scan``.

``convolve`` and ``pull_back`` are linear in the input and in the weights, and each is the other's transpose in the
input; the cotangent of the weights is left to XLA. An axis added by ``vmap`` joins the batch; where weights or bias
carry such an axis themselves, XLA serves.

``convolve`` can also add a bias and another array to each sum and cut it off below zero, before it is written.
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

from jaxplain_native.geometry import ADDEND, BIAS, FORWARD, PULL_BACK, RELU, Geometry, geometry_of, shared_out
from jaxplain_native.library import CONVOLVE, PACK, call, plan

Array = jax.Array
Pull = Callable[[Array, Array, tuple[int, ...], Any], Array]


def refusal(x: Any, weights: Any, spec: Any, *, extras: int = 0) -> str:
    """Return why oneDNN does not serve a convolution, or ``""``.

    Args:
        x: The input, or its shape and dtype.
        weights: The weights, or their shape and dtype.
        spec: The settings, by the names of the parameters of ``lax.conv_general_dilated``.
        extras: What else is done with each sum: the bits ``BIAS``, ``ADDEND`` and ``RELU`` of the module ``geometry``.
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
    relu: bool
    pull: Pull | None


def convolve(
    x: Array,
    weights: Array,
    spec: Any,
    *,
    bias: Array | None = None,
    addend: Array | None = None,
    relu: bool = False,
    pull: Pull | None = None,
) -> Array:
    """Convolve channels-last float32 arrays.

    Args:
        x: The input, (batch, *space, channels).
        weights: The weights, (*space, channels per group, features).
        spec: A hashable with the parameters of ``lax.conv_general_dilated`` by name.
        bias: Added to each sum, (features,).
        addend: Added then, of the result's shape.
        relu: Whether negative sums become zero then; the derivative at zero is zero.
        pull: How a cotangent is brought to the input, called like ``pull_back``, which is the default.

    Returns:
        What ``lax.conv_general_dilated`` and the same operations after it return, up to rounding.

    Raises:
        NotImplementedError: With the reason, where ``refusal`` has one.
    """
    extras = BIAS * (bias is not None) + ADDEND * (addend is not None) + RELU * relu
    _check(x, weights, spec, extras)
    return _convolve(_Settings(spec, relu, pull), x, weights, bias, addend)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(settings: _Settings, x: Array, weights: Array, bias: Array | None, addend: Array | None) -> Array:
    return _apply(FORWARD, settings, x.shape, x, weights, bias, addend)


def _convolve_forward(settings: _Settings, *operands: Any) -> tuple[Array, Any]:
    x, weights, bias, addend = operands
    y = _convolve(settings, *operands)
    return y, (x, weights, y if settings.relu else None, bias is not None, addend is not None)


def _convolve_backward(settings: _Settings, kept: Any, cotangent: Array) -> tuple[Array | None, ...]:
    x, weights, y, biased, added = kept
    if y is not None:
        cotangent = jnp.where(y > 0, cotangent, jnp.zeros_like(cotangent))
    pull = settings.pull or pull_back
    return (
        pull(cotangent, weights, x.shape, settings.spec),
        _of_weights(x, weights, cotangent, settings.spec),
        jnp.sum(cotangent, range(cotangent.ndim - 1)) if biased else None,
        cotangent if added else None,
    )


_convolve.defvjp(_convolve_forward, _convolve_backward)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def pull_back(cotangent: Array, weights: Array, shape: tuple[int, ...], spec: Any) -> Array:
    """Pull a cotangent of ``convolve``, without its extras, back to its input.

    Args:
        cotangent: Of the result's shape.
        weights: As for ``convolve``.
        shape: The input's shape.
        spec: As for ``convolve``.
    """
    _check(jax.ShapeDtypeStruct(shape, cotangent.dtype), weights, spec)
    return _apply(PULL_BACK, _Settings(spec, False, None), shape, cotangent, weights)


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


def _check(x: Any, weights: Any, spec: Any, extras: int = 0) -> None:
    reason = refusal(x, weights, spec, extras=extras)
    if reason:
        raise NotImplementedError(f"jaxplain_native.convolve: {reason}; use lax.conv_general_dilated.")


def _of_weights(x: Array, weights: Array, cotangent: Array, spec: Any) -> Array:
    (found,) = jax.vjp(lambda weights: _product(x, weights, spec), weights)[1](cotangent)
    return found


def _product(x: Array, weights: Array, spec: Any) -> Array:
    return lax.conv_general_dilated(x, weights, **spec._asdict())


def _apply(
    direction: int,
    settings: _Settings,
    shape: Sequence[int],
    source: Array,
    weights: Array,
    bias: Array | None = None,
    addend: Array | None = None,
) -> Array:
    """Evaluate in one direction; a batched axis of the source joins its batch.

    Args:
        direction: ``FORWARD`` or ``PULL_BACK``.
        settings: What is static.
        shape: Of the convolution's input.
        source: The convolution's input, or the cotangent of its output.
        weights: The weights.
        bias: Of each feature, or None.
        addend: Of the result's shape, or None.
    """
    extras = BIAS * (bias is not None) + ADDEND * (addend is not None) + RELU * settings.relu

    @custom_vmap
    def run(source: Array, weights: Array, bias: Array | None, addend: Array | None) -> Array:
        return _call(geometry_of(shape, weights.shape, settings.spec, direction, extras), source, weights, bias, addend)

    @run.def_vmap
    def rule(n: int, batched: Sequence[Any], *operands: Any) -> tuple[Array, bool]:
        source, weights, bias, addend = operands
        if batched[1] or batched[2]:
            axes = tuple(0 if moves else None for moves in batched)
            return jax.vmap(partial(_xla, direction, settings, shape), in_axes=axes)(*operands), True

        def merged(array: Array, moves: bool) -> Array:
            whole = array if moves else jnp.broadcast_to(array[None], (n, *array.shape))
            return whole.reshape(n * whole.shape[1], *whole.shape[2:])

        found = _apply(
            direction,
            settings,
            (n * shape[0], *shape[1:]),
            merged(source, batched[0]),
            weights,
            bias,
            None if addend is None else merged(addend, batched[3]),
        )
        return found.reshape(n, -1, *found.shape[1:]), True

    return run(source, weights, bias, addend)


def _xla(
    direction: int,
    settings: _Settings,
    shape: Sequence[int],
    source: Array,
    weights: Array,
    bias: Array | None,
    addend: Array | None,
) -> Array:
    """Evaluate the same by XLA."""
    if direction == PULL_BACK:
        origin = jnp.zeros(shape, source.dtype)
        return jax.vjp(lambda x: _product(x, weights, settings.spec), origin)[1](source)[0]
    y = _product(source, weights, settings.spec)
    if bias is not None:
        y = y + jnp.broadcast_to(bias, y.shape)
    if addend is not None:
        y = y + addend
    return jnp.maximum(y, 0) if settings.relu else y


def _call(
    geometry: Geometry, source: Array, weights: Array, bias: Array | None = None, addend: Array | None = None
) -> Array:
    geometry = shared_out(geometry)
    numbers = geometry.numbers()
    settings = np.asarray(numbers, np.int64)
    length, _ = plan(numbers)
    packed = call(PACK, jax.ShapeDtypeStruct((length,), jnp.float32), weights, geometry=settings)
    shape = geometry.y_shape if geometry.direction == FORWARD else geometry.x_shape
    operands = [source, packed, *(jnp.zeros(0, jnp.float32) if extra is None else extra for extra in (bias, addend))]
    found: Array = call(CONVOLVE, jax.ShapeDtypeStruct(shape, jnp.float32), *operands, geometry=settings)
    return found
