"""DeepLIFT's rule for softmax and log-softmax: complete, bounded, and the same for logits that are shifted as a whole.

Write ``s = exp(x - lse)`` with ``lse = log sum exp x``, and let ``L`` be the slope of the exponential between the two
log-probabilities, the logarithmic mean ``L = (s - s') / (log s - log s')``. Then ``s - s' = L (dx - dlse)``, and since
probabilities sum to one at both ends, ``0 = sum L (dx - dlse)``: the change of ``lse`` is the mean of ``dx`` with the
weights ``p = L / sum L``. Hence, exactly,

    softmax:      m = L (g - sum p g)
    log-softmax:  m = g - p sum g

which is the derivative at probabilities L. Of two entries it is the Rescale rule of the sigmoid of their difference.
To take exponentials, sum and reciprocal one by one would be complete as well, but where the sums at example and
reference differ by orders of magnitude it adds and subtracts shares larger than the change by as much.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain import _compat
from jaxplain._compat import Equation
from jaxplain._errors import InputError
from jaxplain._typing import Array
from jaxplain.core.sampling import wide
from jaxplain.graph.recognition.strides import LAYOUT, Axis, Layout, NoLayout, digits_of, laid, spread, whole, zeroed
from jaxplain.graph.rules import Arrays, Call
from jaxplain.graph.trace import trace


@dataclass(frozen=True)
class Softmax:
    """Softmax over any axes, or its logarithm, by logarithmic means of the probabilities.

    Args:
        logarithm: Whether the block is a log-softmax.
    """

    logarithm: bool = False
    name: str = "softmax"

    def record(self, call: Call) -> tuple[Arrays, Arrays]:
        """Record both ends."""
        return call.inputs, call.outputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``L (g - sum p g)``, or ``g - p sum g``."""
        ((first,), (before,)), (x,), (after,) = call.recorded, call.inputs, call.outputs
        order, axes = _arrangement(call)

        def laid_out(value: Array) -> Array:
            return wide(value).transpose(order).reshape(after.shape)

        start, g = laid_out(first), wide(cotangents[0])
        end, pull = jax.vjp(laid_out, x)
        nothing = float("-inf") if self.logarithm else 0
        masked = (before == nothing) & (after == nothing)
        logarithms = [jax.nn.log_softmax(jnp.where(masked, -jnp.inf, value), axes) for value in (start, end)]
        mean = jnp.where(masked, 0, _logarithmic_mean(*logarithms))
        weights = mean / jnp.sum(mean, axes, keepdims=True)
        if self.logarithm:
            return pull(g - weights * jnp.sum(g, axes, keepdims=True))
        return pull(mean * (g - jnp.sum(weights * g, axes, keepdims=True)))


def _logarithmic_mean(log_a: Array, log_b: Array) -> Array:
    """Return ``(a - b) / (log a - log b)``, and ``a`` where they are equal, without cancellation."""
    gap = jnp.abs(log_a - log_b)
    apart = gap > 0
    share = jnp.where(apart, -jnp.expm1(-gap) / jnp.where(apart, gap, 1), 1)
    return jnp.exp(jnp.maximum(log_a, log_b)) * share


def _arrangement(call: Call) -> tuple[list[int], tuple[int, ...]]:
    """Return how the input's axes stand in the output, those of length one last, and the output's axes of one softmax.

    A block may move axes between its input and its exponential, as attention in Flax does.
    """
    (x,) = call.inputs
    traced = trace(lambda value: call.run(value)[0], jax.ShapeDtypeStruct(x.shape, x.dtype))
    source, (result,) = whole(x.shape), traced.program.outputs
    known, groups = {traced.program.inputs[-1]: source}, set[Axis]()
    try:
        _follow(traced.program.equations, known, groups)
        (group,) = groups
        rest = zeroed(known[result], group)
        order = [source.index(axis) for axis in known[result] if axis]
    except (NoLayout, ValueError) as error:
        block = call.block
        raise InputError(
            f"deeplift: the axes of the {block.kind!r} at {block.path or 'the top'} ({block.source}) cannot be read; "
            "call jax.nn.softmax instead."
        ) from error
    single = [place for place, axis in enumerate(source) if not axis]
    return order + single, tuple(place for place, axis in enumerate(known[result]) if axis != rest[place])


def _follow(equations: Sequence[Equation], known: dict[Any, Layout], groups: set[Axis]) -> None:
    """Follow the entries of the input through the block, and note the groups over which it sums."""
    for equation in equations:
        given = [known[atom] for atom in equation.invars if not _compat.is_literal(atom) and atom in known]
        if not given:
            continue
        (out,) = equation.outvars
        if _compat.bodies_of(equation):
            (body,) = _compat.bodies_of(equation)
            pairs = zip(body.inputs, equation.invars, strict=True)
            inner = {own: known[atom] for own, atom in pairs if not _compat.is_literal(atom) and atom in known}
            _follow(body.equations, inner, groups)
            known[out] = inner[body.outputs[0]]
            continue
        layout = max(given, key=_n_entries)
        name = equation.primitive.name
        if name in ("reduce_sum", "reduce_max"):
            axes = {int(axis) for axis in equation.params["axes"]}
            groups.add(digits_of(layout, axes))
            known[out] = tuple(axis for place, axis in enumerate(layout) if place not in axes)
        else:
            known[out] = laid(equation, layout) if name in LAYOUT else spread(layout, tuple(out.aval.shape))


def _n_entries(layout: Layout) -> int:
    """Return how many entries of the input stand in a value; fewer for sums, repeated or not."""
    return math.prod(size for axis in layout for size, stride in axis if stride)
