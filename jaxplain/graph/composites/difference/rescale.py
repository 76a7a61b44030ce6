"""DeepLIFT's rules for functions of single entries and for products."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import Array
from jaxplain.graph.rules import Arrays, Call

_ROUNDINGS = 4
"""Roundings that a value of ``tanh``, ``exp`` or ``rsqrt`` may be off by on the devices that JAX runs on."""


@dataclass(frozen=True)
class Rescale:
    """Functions of single entries: the slope of the secant, ``m = (f(x) - f(x')) / (x - x')``.

    Functions of two entries, such as quotients and powers: an input contributes what it changes before the other one,
    and what it changes after it, with weights that sum to one.

    Args:
        balanced: The weights of two inputs: 1/2 each, which for a product is the product rule; or, balanced, t for
            "a last" and 1 - t for "b last" with ``t = |f(a, b')| / (|f(a, b')| + |f(a', b)|)``, so that no contribution
            is much larger than the change where one factor makes up for the other, as in normalizations.
    """

    balanced: bool = False
    name: str = "rescale"

    def record(self, call: Call) -> tuple[Arrays, Arrays]:
        """Record both ends."""
        return call.inputs, call.outputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return the slopes times ``g``."""
        _check(call)
        (first, (before,)), (after,), (g,) = call.recorded, call.outputs, cotangents
        inputs, pull = jax.vjp(lambda *values: _spread(values, after.shape), *call.inputs)
        slopes = self._slopes(_first(call.run), _spread(first, after.shape), inputs, before, after)
        found: Arrays = pull(tuple(g * slope for slope in slopes))
        return found

    def _slopes(self, f: Callable[..., Array], start: Arrays, end: Arrays, before: Array, after: Array) -> Arrays:
        if len(end) == 1:
            return (secant(f, start[0], end[0], before, after),)
        (a0, b0), (a, b) = start, end
        only_a, only_b = f(a, b0), f(a0, b)
        of_a = secant(lambda t: f(t, b), a0, a, only_b, after), secant(lambda t: f(t, b0), a0, a, before, only_a)
        of_b = secant(lambda t: f(a0, t), b0, b, before, only_b), secant(lambda t: f(a, t), b0, b, only_a, after)
        last = _share(only_a, only_b) if self.balanced else jnp.full_like(after, 0.5)
        of_either = tuple(last * late + (1 - last) * early for late, early in (of_a, of_b))
        return of_either


def secant(f: Callable[[Array], Array], x0: Array, x: Array, y0: Array, y: Array) -> Array:
    """Return the slope of ``f``, a function of single entries, between two points; at one point its derivative.

    The quotient of differences is off by some ``eps (|y| + |y0|) / |x - x0|``, without bound for near points. So the
    derivative in the middle stands for it wherever it explains the change to that rounding. Its contribution is
    complete to rounding then, and across a kink or a step, where it does not explain the change, the quotient stays,
    however near the points are.

    Args:
        f: The function.
        x0, x: The points.
        y0, y: Its values there.
    """
    middle, pull = jax.vjp(f, 0.5 * x0 + 0.5 * x)
    (slope,) = pull(jnp.ones_like(middle))
    rounding = _ROUNDINGS * float(jnp.finfo(y.dtype).eps) * (jnp.abs(y0) + jnp.abs(y))
    near = (x == x0) | (jnp.abs((y - y0) - slope * (x - x0)) <= rounding)
    return jnp.where(near, slope, (y - y0) / jnp.where(near, 1, x - x0))


@dataclass(frozen=True)
class Product:
    """Products of two values and squares: the derivative halfway, ``((a + a') / 2, (b + b') / 2)``.

    ``a b - a' b' = (a - a') (b + b') / 2 + (b - b') (a + a') / 2``, so it is complete; each factor contributes what the
    mean of the other one makes of its change.
    """

    name: str = "product"

    def record(self, call: Call) -> Arrays:
        """Record the factors."""
        return call.inputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Pull ``g`` back through the product of the means."""
        halfway = tuple(0.5 * x0 + 0.5 * x for x0, x in zip(call.recorded, call.inputs, strict=True))
        return call.pull(cotangents, at=halfway)


@dataclass(frozen=True)
class Through:
    """``stop_gradient``: the identity, since values are compared and not derivatives."""

    name: str = "identity"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``g``."""
        return cotangents


def _first(run: Callable[..., Arrays]) -> Callable[..., Array]:
    return lambda *inputs: run(*inputs)[0]


def _spread(values: Arrays, shape: tuple[int, ...]) -> Arrays:
    """Repeat values along their axes of length one."""
    return tuple(jnp.broadcast_to(value, shape) for value in values)


def _check(call: Call) -> None:
    """Refuse functions of more than two entries, and what is no function of single entries."""
    block, shapes = call.block, [value.shape for value in call.inputs]
    out = call.outputs[0].shape
    fit = all(
        not shape or (len(shape) == len(out) and all(n in (1, full) for n, full in zip(shape, out, strict=True)))
        for shape in shapes
    )
    if len(call.inputs) > 2 or len(call.outputs) > 1 or not fit:
        raise InputError(
            f"deeplift: {block.kind!r} at {block.path or 'the top'} ({block.source}) is no function of one or two "
            f"entries that depend on the example: inputs of shapes {shapes}, output {out}; there is no rule for it."
        )


def _share(part: Array, other: Array) -> Array:
    """Return ``|part| / (|part| + |other|)``, and 1/2 where both are zero."""
    whole = jnp.abs(part) + jnp.abs(other)
    return jnp.where(whole > 0, jnp.abs(part) / jnp.where(whole > 0, whole, 1), 0.5)
