"""Attention matrices of a traced network, and the gradients of a score with respect to them.

An attention is a softmax whose value is contracted, over the axis along which it sums to one, with another value that
depends on the input. It does not matter who wrote the layer. In a scan over layers there is one matrix per step.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._compat import Equation
from jaxplain._errors import InputError
from jaxplain._typing import Array, ScoreFn
from jaxplain.core.gradient import pull_back
from jaxplain.core.sampling import wide
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.recognition.activations import recognize
from jaxplain.graph.recognition.degrees import Degrees, is_layout
from jaxplain.graph.recognition.strides import LAYOUT, Layout, NoLayout, laid, whole
from jaxplain.graph.recognition.structures import structures
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Run, Site, evaluate

_KEEPING = ("mul", "div", "select_n")  # dropout, by something that does not depend on the input
_ENTERED = ("call", "custom", "remat")


@dataclass(frozen=True)
class Attention:
    """Where a network attends.

    Args:
        step: The last equation of the softmax.
        query: The axis of its value that counts queries.
        key: The axis that counts keys, along which it sums to one.
        windows: Lengths of the axes, without queries and keys, of which each position has its own keys and values.
    """

    step: Step
    query: int
    key: int
    windows: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the softmax's value."""
        return tuple(self.step.equation.outvars[0].aval.shape)

    def matrices(self, values: Array) -> Array:
        """Bring values ``(..., *shape)`` to ``(..., heads, queries, keys)``."""
        first = values.ndim - len(self.shape)
        moved = jnp.moveaxis(values, (first + self.query, first + self.key), (-2, -1))
        return moved.reshape(*moved.shape[:first], -1, *moved.shape[-2:])

    def order(self, index: Sequence[int]) -> tuple[int, ...]:
        """Return what sorts the matrices of all attentions as they are evaluated.

        Args:
            index: The numbers of the scans' steps, outermost first.
        """
        site, numbers, key = self.step.site, iter(index), []
        for depth, equation in enumerate(self.step.enclosing):
            number = next(numbers) if _compat.kind_of(equation) == "scan" else 0
            key += [site[2 * depth], -number if equation.params.get("reverse") else number, site[2 * depth + 1]]
        return (*key, site[-1])


def attention_matrices(where: str, f: ScoreFn, x: Array) -> tuple[Array, list[Array]]:
    """Return the score and the attention matrices, each ``(heads, tokens, tokens)``, in the order of evaluation.

    Args:
        where: The method, for messages.
        f: A score or any function of one example.
        x: The example.

    Raises:
        InputError: There is no attention, or one that is not of the same tokens on both sides.
    """
    traced = trace(f, x)
    found = _self_attentions(where, traced)
    score, values = _evaluated(traced, x, found, {})
    return score, _in_order(found, values, front=0)


def attention_gradients(where: str, f: ScoreFn, x: Array) -> tuple[Array, list[Array], list[Array]]:
    """Return the score ``(*t)``, the attention matrices and the gradients there, ``(*t, heads, tokens, tokens)``.

    Raises:
        InputError: As ``attention_matrices``.
    """
    traced = trace(f, x)
    found = _self_attentions(where, traced)
    zeros = {
        one.step.site: jnp.zeros(one.step.loops + one.shape, one.step.equation.outvars[0].aval.dtype) for one in found
    }
    score, pull, values = jax.vjp(lambda deltas: _evaluated(traced, x, found, deltas), zeros, has_aux=True)
    gradients = pull_back(lambda cotangent: pull(cotangent)[0], score)
    return score, _in_order(found, values, front=0), _in_order(found, gradients, front=score.ndim)


def _evaluated(
    traced: Traced, x: Array, found: Sequence[Attention], deltas: dict[Site, Array]
) -> tuple[Array, dict[Site, Array]]:
    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], delta: Any) -> tuple[list[Any], Any]:
        (value,) = run(*inputs)
        return [value if delta is None else value + delta], value

    outputs, emitted = evaluate(traced.program, traced.inputs(x), {one.step.site: act for one in found}, deltas)
    return traced.output(outputs), {site: emitted[site] for site in (one.step.site for one in found)}


def _in_order(found: Sequence[Attention], values: Mapping[Site, Array], front: int) -> list[Array]:
    """Return the matrices of all attentions and steps of scans; ``front`` axes come before those of scans."""
    matrices = {}
    for one in found:
        stacked = wide(one.matrices(values[one.step.site]))
        for index in np.ndindex(one.step.loops):
            matrices[one.order(index)] = stacked[(slice(None),) * front + index]
    return [matrices[key] for key in sorted(matrices)]


def _self_attentions(where: str, traced: Traced) -> list[Attention]:
    found = list(attentions(traced))
    if not found:
        raise InputError(
            f"{where}: the network has no attention, which is a softmax whose value is multiplied with values that "
            "depend on the input, summed over its keys; choose a method such as gradient or grad_cam."
        )
    lengths = {(one.shape[one.query], one.shape[one.key]) for one in found}
    uneven = sorted(pair for pair in lengths if pair[0] != pair[1])
    if uneven or len(lengths) > 1:
        raise InputError(
            f"{where}: every attention must be of the same tokens on both sides, got (queries, keys) = "
            f"{sorted(lengths)}; cross attention, pooling by attention and merging of tokens have no rollout."
        )
    windows = next((one.windows for one in found if len(one.windows) > 1), None)
    if windows:
        raise InputError(
            f"{where}: an attention has the axes {windows} beside queries and keys, where heads alone were expected; "
            "attention in windows has no rollout."
        )
    return found


def attentions(traced: Traced) -> Iterator[Attention]:
    """Yield the attentions of a traced function."""
    found = steps(traced)
    by_site = {step.site: step for step in found}
    activations = recognize(traced, found)
    named = {site: one.run for site, one in activations.items() if one.kind == "softmax"}
    written = {site: one.run for site, one in structures(traced, found, activations).items() if one.kind == "softmax"}
    for site, run in sorted({**named, **written}.items()):
        last = run.equations[-1].outvars[0]
        key = _axis_of_sum(run, by_site, site) if site in written else None
        for use in _uses(traced, by_site, site[:-1], last, whole(last.aval.shape)):
            if one := _attention(by_site[site], key, *use):
                yield one
                break


def _uses(
    traced: Traced, by_site: Mapping[Site, Step], here: Site, variable: Any, layout: Layout
) -> Iterator[tuple[Equation, int, Layout]]:
    """Yield the products that a value enters, moved or not: the equation, the operand's number, and its layout."""
    program = traced.program_at((*here, 0))
    for position, equation in enumerate(program.equations):
        site = (*here, position)
        for number, atom in enumerate(equation.invars):
            if atom is not variable:
                continue
            if equation.primitive.name == "dot_general":
                if all(flow.depends for flow in by_site[site].inputs):
                    yield equation, number, layout
            elif _compat.kind_of(equation) in _ENTERED:
                inner = _compat.bodies_of(equation)[0].inputs[number]
                yield from _uses(traced, by_site, (*site, 0), inner, layout)
            else:
                after = _after(by_site[site], layout)
                if after is not None:
                    yield from _uses(traced, by_site, here, equation.outvars[0], after)
    if here and _compat.kind_of(outer := by_site[here[:-1]].equation) in _ENTERED:
        for number, atom in enumerate(program.outputs):
            if atom is variable:
                yield from _uses(traced, by_site, here[:-2], outer.outvars[number], layout)


def _after(step: Step, layout: Layout) -> Layout | None:
    """Return the layout of what an equation makes of a value, or None where it makes something else of it."""
    equation = step.equation
    if sum(flow.depends for flow in step.inputs) != 1:
        return None
    if equation.primitive.name in LAYOUT:
        try:
            return laid(equation, layout)
        except NoLayout:
            return None
    return layout if is_layout(equation) or equation.primitive.name in _KEEPING else None


def _attention(step: Step, key: int | None, product: Equation, number: int, layout: Layout) -> Attention | None:
    """Read the axes of a softmax's value from the product that it enters, as ``layout`` arranges it there.

    The axis along which the softmax sums to one has to be among those contracted; where it is not known, it is the only
    one.
    """
    contracted, batched = (sides[number] for sides in product.params["dimension_numbers"])
    own = whole(step.equation.outvars[0].aval.shape)
    summed = [own.index(layout[place]) for place in contracted if layout[place] and layout[place] in own]
    if key is None and len(summed) == len(contracted) == 1:
        (key,) = summed
    if key not in summed:
        return None
    free = [axis for place, axis in enumerate(layout) if place not in (*contracted, *batched) and axis]
    queries = [own.index(axis) for axis in free if axis in own]
    if key is None or not queries:
        return None
    query = next((axis for axis in reversed(queries) if _length(own[axis]) == _length(own[key])), queries[-1])
    windows = tuple(length for length in (_length(layout[place]) for place in batched) if length > 1)
    return Attention(step, query, key, windows)


def _length(axis: Sequence[tuple[int, int]]) -> int:
    return math.prod(size for size, _ in axis)


def _axis_of_sum(run: Run, by_site: Mapping[Site, Step], site: Site) -> int:
    """Return the axis along which a softmax that is written out sums to one; -1 if it is not one axis."""
    made = {variable for equation in run.equations for variable in equation.outvars}
    inside = [by_site[(*site[:-1], position)] for position in run.positions]
    pairs = [pair for step in inside for pair in zip(step.equation.invars, step.inputs, strict=True)]
    source = next(atom for atom, flow in pairs if flow.depends and atom not in made)
    degrees = Degrees(run.equations, source)
    layout = degrees.parts[run.equations[-1].outvars[0]].layout
    return layout.index(degrees.groups) if degrees.groups in layout else -1
