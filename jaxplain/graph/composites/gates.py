"""Expected gates: nonlinearities that pull back by the mean of their derivatives over noisy copies of the example.

Each rule records, at a noisy copy, what its block's derivative consists of; recordings are averaged as they are. So the
Jacobian of the network is replaced by the product of the expected Jacobians of its blocks, which differs from the
expected Jacobian where the derivatives of several blocks vary together.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain._typing import Array, PyTree
from jaxplain.graph.predicates import AtPath, OfKind
from jaxplain.graph.recognition.known_activations import KINDS
from jaxplain.graph.rules import KEEP, Arrays, Call
from jaxplain.graph.trace import trace

_NAMED = ("celu", "hard_sigmoid", "hard_tanh", "log_sigmoid", "mish", "soft_sign", "squareplus")
_PRIMITIVES = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "erf", "erf_inv", "erfc",
    "exp", "exp2", "expm1", "integer_pow", "log", "log1p", "logistic", "max", "min", "pow", "rsqrt", "select_n", "sin",
    "sinh", "sqrt", "tan",
)  # fmt: skip


@dataclass(frozen=True)
class ExpectedGate:
    """Multiply cotangents by the mean derivative of an elementwise function."""

    name: str = "expected gate"

    def record(self, call: Call) -> Arrays:
        """Return the derivative of every entry of the output, one array per input."""
        (output,) = call.outputs
        pull: Callable[[Arrays], Arrays] = jax.vjp(call.run, *_spread(output.shape)(*call.inputs))[1]
        return pull((jnp.ones_like(output),))

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``g * E[y'(x)]``, summed where an input is one number for all entries."""
        (cotangent,) = cotangents
        gated = tuple(cotangent * gate.astype(cotangent.dtype) for gate in call.recorded)
        return tuple(jax.vjp(_spread(cotangent.shape), *call.inputs)[1](gated))


@dataclass(frozen=True)
class ExpectedFactors:
    """Pull back through a product of two values at their means, at which its Jacobian is the expected one."""

    name: str = "expected factors"

    def record(self, call: Call) -> Arrays:
        """Return the factors."""
        return call.inputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return the block's own pull-back at the mean factors."""
        means = [mean.astype(value.dtype) for mean, value in zip(call.recorded, call.inputs, strict=True)]
        return call.pull(cotangents, at=tuple(means))


@dataclass(frozen=True)
class ExpectedWinners:
    """Share cotangents of max-pooling out by how often each entry of a window wins; of equal entries the first does."""

    name: str = "expected winners"

    def record(self, call: Call) -> Array:
        """Return 1 for the winner of every window and 0 for the others, ``(entries of a window, *output)``."""
        entries = _windows(call)(call.inputs[0])
        winners = jnp.argmax(entries, axis=0)
        numbers = jnp.arange(entries.shape[0], dtype=winners.dtype).reshape((-1,) + (1,) * winners.ndim)
        return (winners[None] == numbers).astype(entries.dtype)

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return the sum over windows of ``g * P(entry wins)``."""
        (cotangent,) = cotangents
        shares = cotangent[None] * call.recorded.astype(cotangent.dtype)
        return tuple(jax.vjp(_windows(call), call.inputs[0])[1](shares))


def _spread(shape: tuple[int, ...]) -> Callable[..., Arrays]:
    return lambda *inputs: tuple(jnp.broadcast_to(value, shape) for value in inputs)


def _windows(call: Call) -> Callable[[Array], Array]:
    """Return the function that lays the entries of each window out in front, ``(entries, *output)``."""
    (shape,) = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in call.inputs]
    (equation,) = trace(lambda value: call.run(value), shape).program.equations
    window: Any = equation.params
    borders = [
        (low, high, width - 1) for (low, high), width in zip(window["padding"], window["base_dilation"], strict=True)
    ]
    reach = [
        [step * dilation for step in range(length)]
        for length, dilation in zip(window["window_dimensions"], window["window_dilation"], strict=True)
    ]
    strides, counts = window["window_strides"], equation.outvars[0].aval.shape

    def entries(value: Array) -> Array:
        padded = jax.lax.pad(value, jnp.asarray(-jnp.inf, value.dtype), borders)
        return jnp.stack(
            [
                jax.lax.slice(
                    padded,
                    first,
                    [start + (n - 1) * stride + 1 for start, n, stride in zip(first, counts, strides, strict=True)],
                    strides,
                )
                for first in itertools.product(*reach)
            ]
        )

    return entries


EXPECTED: tuple[tuple[Callable[..., bool], PyTree], ...] = (
    (OfKind(*KINDS, *_NAMED, *_PRIMITIVES), ExpectedGate()),
    (OfKind("bilinear", "square"), ExpectedFactors()),
    (OfKind("max_pool"), ExpectedWinners()),
    (AtPath(""), KEEP),
)
"""The composite of SmoothDiff: softmax and normalizations (as wholes), quotients, sorting and other maxima keep their
derivative."""
