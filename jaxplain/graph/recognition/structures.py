"""Recognizing softmax, normalization layers and averages by their structure, whatever they are called.

A structure is a block of equations of one program that builds on one value that depends on the input, and of which
only the result is used outside. So of ``x + norm(x)`` the normalization alone is one.

An activation that lies wholly inside a structure (``max(0, variance)`` in Flax's layers reads as a ReLU) belongs to the
structure: whoever uses both takes the structure.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxplain._compat import Equation
from jaxplain.graph.flow import Step
from jaxplain.graph.recognition.activations import Activation
from jaxplain.graph.recognition.degrees import is_layout
from jaxplain.graph.recognition.normalization import normalization_at
from jaxplain.graph.recognition.softmax import softmax_at
from jaxplain.graph.recognition.wiring import Wiring, by_program
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Run, Site


@dataclass(frozen=True)
class Structure:
    """A recognized structure.

    Args:
        kind: "softmax"; "layer_norm" (over the last axis), "group_norm" (over other axes or more) or "rms_norm"
            (without centering); "avg_pool" or "mean".
        run: Its equations; one of its inputs depends on the example.
        statistic: Of a normalization the variable in the run, such as the reciprocal deviation, that relevance methods
            hold constant; else None.
    """

    kind: str
    run: Run
    statistic: Any | None = None


def structures(traced: Traced, found: Sequence[Step], taken: Mapping[Site, Activation]) -> dict[Site, Structure]:
    """Return the structures of a traced function, by the site of their last equation.

    Looked for in all programs of the trace, those inside jit, remat, scan and cond included:

    - softmax: ``exp(u) / sum(exp(u))`` over some axes, with the shift of ``u`` by its maximum in the run;
    - normalizations: ``x`` or ``x - mean`` over the root of a sum of squares over the same groups of entries, with a
      factor that does not depend on the input; scale and bias that follow are outside;
    - averages: a sum over windows divided by what does not depend on the input, or over axes divided by their length.

    Args:
        traced: The traced function.
        found: Its steps, from ``flow.steps``.
        taken: Its activations, from ``activations.recognize``.

    Example:
        >>> import jax
        >>> from jaxplain.graph.flow import steps
        >>> from jaxplain.graph.trace import trace
        >>> traced = trace(lambda x: x + jax.nn.standardize(x), jnp.ones((2, 3)))
        >>> [structure.kind for structure in structures(traced, steps(traced), {}).values()]
        ['layer_norm']
    """
    recognized: dict[Site, Structure] = {}
    claimed = {(*site[:-1], position) for site, one in taken.items() for position in one.run.positions}
    for here, steps in by_program(found).items():
        if any(here[: len(site)] == site for site in claimed):
            continue
        activations = [set(one.run.positions) for site, one in taken.items() if site[:-1] == here]
        for structure in _in_program(Wiring(traced.program_at((*here, 0)), steps, activations)):
            recognized[(*here, structure.run.positions[-1])] = structure
            claimed.update((*here, position) for position in structure.run.positions)
    return dict(sorted(recognized.items()))


def _in_program(wiring: Wiring) -> list[Structure]:
    """Return what is found in one program: averages last, since they are parts of normalizations."""
    ends = [position for position in sorted(wiring.steps, reverse=True) if _is_end(wiring.steps[position])]
    found: list[Structure] = []
    for search in (_normalization, _softmax, _average):
        for end in ends:
            if not any(end in one.run.positions for one in found):
                structure = search(wiring, end)
                found += [structure] if structure else []
    return found


def _is_end(step: Step) -> bool:
    if step.equation.primitive.name not in ("mul", "div") or not step.depends:
        return False
    return bool(jnp.issubdtype(step.equation.outvars[0].aval.dtype, jnp.floating))


def _normalization(wiring: Wiring, end: int) -> Structure | None:
    found = normalization_at(wiring, end)
    return Structure(*found) if found else None


def _softmax(wiring: Wiring, end: int) -> Structure | None:
    run = softmax_at(wiring, end)
    return Structure("softmax", run) if run else None


def _average(wiring: Wiring, end: int) -> Structure | None:
    equation, moving = wiring.program.equations[end], wiring.moving(end)
    if len(moving) != 1 or equation.invars.count(moving[0]) != 1:
        return None
    summing = wiring.making(wiring.back(moving[0], is_layout))
    if summing is None or not _averages(wiring, equation, moving[0], summing):
        return None
    run = wiring.run(end, summing.invars[0], lambda equation: True)
    kind = "mean" if summing.primitive.name == "reduce_sum" else "avg_pool"
    return Structure(kind, run) if run else None


def _averages(wiring: Wiring, equation: Equation, moving: Any, summing: Equation) -> bool:
    """Tell whether a sum over windows is divided by anything, or one over axes by their length."""
    is_quotient = equation.primitive.name == "div"
    if is_quotient and equation.invars[0] is not moving:
        return False
    if summing.primitive.name == "reduce_window_sum":
        return True
    number = wiring.number(next(atom for atom in equation.invars if atom is not moving))
    if summing.primitive.name != "reduce_sum" or not number:
        return False
    count = math.prod(summing.invars[0].aval.shape[int(axis)] for axis in summing.params["axes"])
    rounding = float(jnp.finfo(equation.outvars[0].aval.dtype).eps)
    return math.isclose(number if is_quotient else 1 / number, count, rel_tol=rounding)
