"""Recognizing activation functions, called by name or written out.

A run of elementwise equations counts as an activation if it reads one value that depends on the input, nothing but its
result is used outside, and its values are those of a known function on a grid of points. So ``max(x, 0)``,
``where(x > 0, x, 0)`` and GELU written out are found, and of ``h + gelu(h)`` only the second term is.

A function called ``relu`` that computes something else is no ReLU. A name decides alone where values cannot be known:
``softmax``, which is not elementwise, functions without a known form (``mish``), and a slope that is a weight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.flow import Step
from jaxplain.graph.operations import activation_name
from jaxplain.graph.recognition.arithmetic import ELEMENTWISE, apply, trying
from jaxplain.graph.recognition.constants import SPREADING, Numbers, known_numbers, numbers_of, read
from jaxplain.graph.recognition.known_activations import ALIASES, GRID, KINDS, kind_of_values
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Run, Site

_LONGEST = 24  # equations of one activation; GELU by tanh has 8


@dataclass(frozen=True)
class Activation:
    """A recognized activation.

    Args:
        kind: Its name, one of ``KINDS`` or a name of ``jax.nn``.
        run: Its equations.
    """

    kind: str
    run: Run


def recognize(traced: Traced, found: Iterable[Step]) -> dict[Site, Activation]:
    """Return the activations of a traced function, by the site of their last equation.

    Args:
        traced: The traced function.
        found: Its steps, from ``flow.steps``.

    Example:
        >>> import jax
        >>> from jaxplain.graph.flow import steps
        >>> from jaxplain.graph.trace import trace
        >>> traced = trace(lambda x: jnp.where(x > 0, x, 0.0) + jax.nn.gelu(x), jnp.ones(3))
        >>> [activation.kind for activation in recognize(traced, steps(traced)).values()]
        ['relu', 'gelu']
    """
    numbers = known_numbers(traced.program)
    programs: dict[Site, dict[int, Step]] = {}
    for step in found:
        programs.setdefault(step.site[:-1], {})[step.site[-1]] = step
    recognized: dict[Site, Activation] = {}
    claimed: set[Site] = set()
    with trying():
        for here in sorted(programs):
            if any(here[: len(site)] == site for site in claimed):
                continue
            search = _Search(traced.program_at((*here, 0)), programs[here], numbers.get(here, {}))
            for activation in search.activations():
                recognized[(*here, activation.run.positions[-1])] = activation
                claimed.update((*here, position) for position in activation.run.positions)
    return dict(sorted(recognized.items()))


def slopes(run: Run) -> np.ndarray | None:
    """Return the derivative of a recognized activation at the points of ``GRID``, as JAX takes it.

    Args:
        run: Its equations, which read one value.

    Returns:
        Numbers; None where it has no forward derivative, or one that is not written in elementwise operations.

    Example:
        >>> import jax
        >>> from jaxplain.graph.flow import steps
        >>> from jaxplain.graph.trace import trace
        >>> def at_zero(f):
        ...     traced = trace(f, jnp.ones(3))
        ...     (activation,) = recognize(traced, steps(traced)).values()
        ...     return float(slopes(activation.run)[GRID == 0][0])
        >>> at_zero(jax.nn.relu), at_zero(lambda x: jnp.maximum(x, 0.0))
        (0.0, 0.5)
    """
    (source,) = run.inputs
    shape = jax.ShapeDtypeStruct(source.aval.shape, source.aval.dtype)
    try:
        program, _ = _compat.trace_program(lambda x, along: jax.jvp(run, (x,), (along,))[1], shape, shape)
    except TypeError:  # a reverse rule of its author
        return None
    points = GRID.astype(shape.dtype)
    values: Numbers = dict(zip(program.inputs, (points, np.ones_like(points)), strict=True))
    values |= {v: one for v, one in zip(program.constants, numbers_of(program), strict=True) if one is not None}
    with trying():
        for equation in program.equations:
            known = all(read(atom, values) is not None for atom in equation.invars)
            if not known or not (_all_elementwise(equation) or equation.primitive.name in SPREADING):
                return None
            _compute(equation, values)
    return np.broadcast_to(read(program.outputs[0], values), GRID.shape)


class _Search:
    """The search in one program."""

    def __init__(self, program: Program, steps: Mapping[int, Step], numbers: Numbers) -> None:
        self.program = program
        self.steps = steps
        self.numbers = numbers
        self.maker = {v: k for k, equation in enumerate(program.equations) for v in equation.outvars}
        self.users: dict[Any, set[int]] = {}
        for position, equation in enumerate(program.equations):
            for atom in equation.invars:
                if not _compat.is_literal(atom):
                    self.users.setdefault(atom, set()).add(position)
        self.returned = {atom for atom in program.outputs if not _compat.is_literal(atom)}
        self.taken: set[int] = set()

    def activations(self) -> list[Activation]:
        """Return what is found, the longest runs first to be sought: later equations before earlier ones."""
        found = []
        for position in sorted(self.steps, reverse=True):
            step = self.steps[position]
            if position in self.taken or not step.depends or len(step.equation.outvars) != 1:
                continue
            activation = self._at(position) or self._by_name(position)
            if activation is not None:
                found.append(activation)
                self.taken.update(activation.run.positions)
        return found[::-1]

    def _at(self, end: int) -> Activation | None:
        """Look for an activation that ends at an equation, from its nearest single source on."""
        positions: list[int] = []
        open_values: dict[Any, int] = {self.program.equations[end].outvars[0]: end}
        while len(positions) < _LONGEST:
            position = max(open_values.values())
            if position < 0 or position in self.taken or not self._elementwise(position):
                return None
            positions.append(position)
            open_values = {variable: place for variable, place in open_values.items() if place != position}
            for variable in self._moving(position):
                open_values[variable] = self.maker.get(variable, -1)
            if len(open_values) == 1 and self._closed(positions):
                (source,) = open_values
                kind = self._kind(sorted(positions), source)
                if kind:
                    return Activation(kind, self._run(positions))
        return None

    def _by_name(self, position: int) -> Activation | None:
        name = activation_name(self.program.equations[position])
        name = ALIASES.get(name, name)
        if not name:
            return None
        if name in KINDS:
            moving = self._moving(position)
            if len(moving) != 1 or not _all_elementwise(self.program.equations[position]):
                return None
            with_weights = len(self._known_or_moving(position)) < len(self.program.equations[position].invars)
            if not with_weights:
                return None  # its values are not those of the function whose name it has
        return Activation(name, self._run([position]))

    def _run(self, positions: Sequence[int]) -> Run:
        return Run.of(self.program, positions)

    def _moving(self, position: int) -> list[Any]:
        step = self.steps[position]
        pairs = zip(step.equation.invars, step.inputs, strict=True)
        return list(dict.fromkeys(atom for atom, flow in pairs if flow.depends))

    def _known_or_moving(self, position: int) -> list[Any]:
        step = self.steps[position]
        pairs = zip(step.equation.invars, step.inputs, strict=True)
        return [atom for atom, flow in pairs if flow.depends or read(atom, self.numbers) is not None]

    def _elementwise(self, position: int) -> bool:
        equation = self.program.equations[position]
        if len(self._known_or_moving(position)) < len(equation.invars) or not _all_elementwise(equation):
            return False
        return all(atom.aval.shape == equation.outvars[0].aval.shape for atom in self._moving(position))

    def _closed(self, positions: Sequence[int]) -> bool:
        """Tell whether nothing but the last value is used outside of the run."""
        inside = set(positions)
        for position in inside - {max(inside)}:
            for variable in self.program.equations[position].outvars:
                if variable in self.returned or not self.users.get(variable, set()) <= inside:
                    return False
        return True

    def _kind(self, positions: Sequence[int], source: Any) -> str:
        end = self.program.equations[positions[-1]].outvars[0]
        if not (_floating(source) and _floating(end)):
            return ""
        values = dict(self.numbers)
        values[source] = GRID.astype(source.aval.dtype)
        for position in positions:
            _compute(self.program.equations[position], values)
        if source.aval.dtype != end.aval.dtype or values[end].shape != GRID.shape:
            return ""
        return kind_of_values(values[end], float(jnp.finfo(source.aval.dtype).eps))


def _floating(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.floating)


def _all_elementwise(equation: Equation) -> bool:
    """Tell whether an equation, or all that it calls, works on each entry by itself."""
    if _compat.kind_of(equation) in ("call", "custom"):
        (body,) = _compat.bodies_of(equation)
        if any(number is None for number in numbers_of(body)):
            return False
        return all(_all_elementwise(inner) or inner.primitive.name in SPREADING for inner in body.equations)
    return equation.primitive.name in ELEMENTWISE and len(equation.outvars) == 1


def _compute(equation: Equation, values: Numbers) -> None:
    """Evaluate an elementwise equation or call on the grid."""
    operands = [read(atom, values) for atom in equation.invars]
    bodies = _compat.bodies_of(equation)
    if bodies:
        (body,) = bodies
        inner = dict(zip(body.inputs, operands, strict=True))
        inner |= dict(zip(body.constants, numbers_of(body), strict=True))
        for each in body.equations:
            _compute(each, inner)
        outputs = [read(atom, inner) for atom in body.outputs]
    elif equation.primitive.name in SPREADING:
        outputs = [operands[0]]
    else:
        outputs = [apply(equation, operands)]
    values.update(zip(equation.outvars, outputs, strict=True))
