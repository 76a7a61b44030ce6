"""Convolutions together with what follows them, where one call computes both in one pass over the arrays.

Such a run is a convolution, operations with one number per feature (inference batch normalization in whatever
primitives, a bias), the addition of another array, and a ReLU; each part but the first may be missing. What the
operations per feature amount to, a factor and a shift, is found by evaluating them at vectors of features: their value
at zero, and their derivative, since they are affine.

A ReLU is part of a run only where its derivative is zero up to and including zero, and one above, as that of
``jax.nn.relu`` is; ``max(x, 0)`` has one half at zero, and what its author wrote stays what it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain import _compat
from jaxplain._compat import Equation
from jaxplain._typing import Array, PyTree
from jaxplain.core.ops import ConvolutionSpec, convolve, fuses
from jaxplain.graph.convolution import spec_of
from jaxplain.graph.flow import Step
from jaxplain.graph.recognition.activations import GRID, recognize, slopes
from jaxplain.graph.recognition.affine import varying
from jaxplain.graph.recognition.wiring import Wiring, by_program
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import OnRun, Run, Site, lies_in

_PER_FEATURE = ("add", "sub", "mul", "div", "neg")
_ADDITIONS = ("add", "add_any")


@dataclass(frozen=True)
class Fused:
    """A convolution and what follows it.

    Args:
        run: All equations.
        spec: The convolution's settings.
        following: The operations with one number per feature, in order.
        addend: The variable that is added then, or None.
        relu: Whether a ReLU comes last.
    """

    run: Run
    spec: ConvolutionSpec
    following: tuple[Equation, ...]
    addend: Any
    relu: bool

    def act(self, inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], None]:
        """Evaluate the run in one call; an action of ``OnRun``."""
        values = dict(zip(self.run.inputs, inputs, strict=True))
        x, kernel = (values[atom] for atom in self.run.equations[0].invars)
        scale, bias = self._factor_and_shift(values)
        addend = None if self.addend is None else values[self.addend]
        return [convolve(x, kernel, self.spec, scale=scale, bias=bias, addend=addend, relu=self.relu)], None

    def _factor_and_shift(self, values: Mapping[Any, Any]) -> tuple[Array | None, Array | None]:
        """Return what the operations per feature multiply by and add, None for what they do not."""
        names = {equation.primitive.name for equation in self.following}
        sums = self.run.equations[0].outvars[0]
        axis = self.spec.dimension_numbers.out_spec[1]
        origin = jnp.zeros(sums.aval.shape[axis], sums.aval.dtype)

        def vector(atom: Any) -> Any:
            value = atom.val if _compat.is_literal(atom) else values[atom]
            if np.ndim(value) == 0:
                return value
            ends = [length if number == axis else 1 for number, length in enumerate(value.shape)]
            return jnp.broadcast_to(lax.slice(value, [0] * len(ends), ends).reshape(-1), origin.shape)

        def follow(value: Array) -> Array:
            at = sums
            for equation in self.following:
                operands = [value if atom is at else vector(atom) for atom in equation.invars]
                (value,) = _compat.bind(equation, operands, scoped=False)
                (at,) = equation.outvars
            return value

        if not names:
            return None, None
        if names == {"add"}:
            return None, follow(origin)
        shift, factor = jax.jvp(follow, (origin,), (jnp.ones_like(origin),))
        return factor, shift if names & {"add", "sub"} else None


def fused_actions(traced: Traced, found: Sequence[Step], held: Collection[Site] = ()) -> dict[Site, OnRun]:
    """Return the actions that evaluate convolutions with what follows them, by site.

    Args:
        traced: The function.
        found: Its steps.
        held: Sites of equations that have a rule of their own.
    """
    starts = [step for step in found if _starts(step, held)]
    if not starts:
        return {}
    relus = {
        (*site[:-1], activation.run.inputs[0]): activation.run
        for site, activation in recognize(traced, found).items()
        if activation.kind == "relu" and len(activation.run.inputs) == 1
    }
    programs = by_program(found)
    searches: dict[Site, _Search] = {}
    actions = {}
    for start in reversed(starts):  # of two convolutions whose results are added the later one takes the addition
        here = start.site[:-1]
        if here not in searches:
            searches[here] = _Search(traced, here, programs[here], relus, held)
        one = searches[here].run_from(start.site[-1])
        if one is not None:
            actions[(*here, one.run.positions[-1])] = OnRun(one.run, one.act)
    return actions


def _starts(step: Step, held: Collection[Site]) -> bool:
    spec = spec_of(step.equation)
    if spec is None or [flow.depends for flow in step.inputs] != [True, False] or _is_held(step.site, held):
        return False
    if any(_compat.kind_of(outer) == "custom" for outer in step.enclosing):
        return False
    x, kernel = (atom.aval for atom in step.equation.invars)
    return fuses(x, kernel, spec)


def _is_held(site: Site, held: Collection[Site]) -> bool:
    return lies_in(site, held) or any(one[: len(site)] == site for one in held)


class _Search:
    """The search in one program."""

    def __init__(
        self,
        traced: Traced,
        here: Site,
        steps: Mapping[int, Step],
        relus: Mapping[tuple[Any, ...], Run],
        held: Collection[Site],
    ) -> None:
        self.here = here
        self.program = traced.program_at((*here, 0))
        self.wiring = Wiring(self.program, steps)
        self.makers = {variable: equation for equation in self.program.equations for variable in equation.outvars}
        self.relus = relus
        self.taken = {position for position in steps if _is_held((*here, position), held)}

    def run_from(self, start: int) -> Fused | None:
        """Return the run that begins at a convolution, or None where nothing follows that belongs to it."""
        first = self.program.equations[start]
        spec = spec_of(first)
        if spec is None:
            return None
        positions, value, addend = [start], first.outvars[0], None
        while (position := self._reader(value)) is not None and self._per_feature(position, value, spec):
            positions.append(position)
            (value,) = self.program.equations[position].outvars
        following = tuple(self.program.equations[position] for position in positions[1:])
        if (position := self._reader(value)) is not None and (other := self._added(position, value)) is not None:
            positions.append(position)
            addend = other
            (value,) = self.program.equations[position].outvars
        relu = self._relu(value)
        positions += relu
        if len(positions) == 1:
            return None
        self.taken.update(positions)
        return Fused(Run.of(self.program, positions), spec, following, addend, bool(relu))

    def _reader(self, value: Any) -> int | None:
        """Return the position of the one equation that reads a value, if it is free."""
        readers = self.wiring.readers.get(value, set())
        if value in self.wiring.returned or len(readers) != 1 or readers & self.taken:
            return None
        (position,) = readers
        equation = self.program.equations[position]
        once = sum(atom is value for atom in equation.invars) == 1
        alike = [(out.aval.shape, out.aval.dtype) for out in equation.outvars] == [(value.aval.shape, value.aval.dtype)]
        return position if once and alike else None

    def _others(self, position: int, value: Any) -> list[Any]:
        return [atom for atom in self.program.equations[position].invars if atom is not value]

    def _per_feature(self, position: int, value: Any, spec: ConvolutionSpec) -> bool:
        equation = self.program.equations[position]
        name, others = equation.primitive.name, self._others(position, value)
        if name not in _PER_FEATURE or len(self.wiring.moving(position)) != 1:
            return False
        if name == "div" and equation.invars[0] is not value:
            return False
        axis = spec.dimension_numbers.out_spec[1]
        return all(varying(atom, self.makers) <= {axis} for atom in others)

    def _added(self, position: int, value: Any) -> Any:
        """Return what an equation adds to a value, an array of its shape, or None."""
        if self.program.equations[position].primitive.name not in _ADDITIONS:
            return None
        (other,) = self._others(position, value)
        alike = (other.aval.shape, other.aval.dtype) == (value.aval.shape, value.aval.dtype)
        return other if alike and not _compat.is_literal(other) else None

    def _relu(self, value: Any) -> list[int]:
        """Return the positions of the ReLU that alone reads a value, none where there is none."""
        run = self.relus.get((*self.here, value))
        if run is None or value in self.wiring.returned:
            return []
        positions = set(run.positions)
        if positions & self.taken or not self.wiring.readers.get(value, set()) <= positions:
            return []
        found = slopes(run)
        return list(run.positions) if found is not None and np.array_equal(found, GRID > 0) else []
