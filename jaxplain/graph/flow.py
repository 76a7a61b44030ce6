"""What flows from the input through a traced program: which values depend on it, are its entries merely moved, or carry
the network's batch axis.

The network's batch axis is the axis of length one that the caller puts in front of the example: a ``Score`` does, or
``net(x[None])``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.axes import added_in_front, batch_axis
from jaxplain.graph.operations import MOVEMENTS
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Site


@dataclass(frozen=True)
class Flow:
    """What is known of one value.

    Args:
        depends: Whether it depends on the input.
        axis: The position of the network's batch axis.
        moved: Whether its entries are entries of the input, in other places and beside constants at most.
    """

    depends: bool = False
    axis: int | None = None
    moved: bool = False

    def __or__(self, other: "Flow") -> "Flow":
        if self.depends and other.depends:
            return Flow(True, self.axis, self.moved and other.moved)
        return self if self.depends else other

    def sliced(self) -> "Flow":
        """Return what is known of a slice along the first axis."""
        return Flow(self.depends, self.axis - 1 if self.axis else None, self.moved)

    def stacked(self) -> "Flow":
        """Return what is known of such values stacked along a new first axis."""
        return Flow(self.depends, None if self.axis is None else self.axis + 1, self.moved)


@dataclass(frozen=True)
class Step:
    """One equation where it stands.

    Args:
        site: Its address.
        equation: The equation itself.
        scopes: The named scopes around it, those of the enclosing equations included, outermost first.
        outer: How many of the scopes belong to the enclosing equations.
        inputs: What is known of its inputs.
        outputs: What is known of its outputs.
        loops: The lengths of the scans around it, outermost first.
        enclosing: The enclosing equations, outermost first.
    """

    site: Site
    equation: Equation
    scopes: tuple[str, ...]
    outer: int
    inputs: tuple[Flow, ...]
    outputs: tuple[Flow, ...]
    loops: tuple[int, ...]
    enclosing: tuple[Equation, ...]

    @property
    def depends(self) -> bool:
        """Whether any output depends on the input of the traced function."""
        return any(flow.depends for flow in self.outputs)


@dataclass(frozen=True)
class _Around:
    site: Site = ()
    scopes: tuple[str, ...] = ()
    loops: tuple[int, ...] = ()
    enclosing: tuple[Equation, ...] = ()

    def inside(self, equation: Equation, site: Site, body: int) -> "_Around":
        loops = (*self.loops, _compat.scan_split(equation)[2]) if _compat.kind_of(equation) == "scan" else self.loops
        scopes = self.scopes + _compat.scopes_of(equation)
        return _Around((*site, body), scopes, loops, (*self.enclosing, equation))


def steps(traced: Traced) -> list[Step]:
    """Return every equation of a traced function in the order of evaluation, those inside other equations included.

    An equation with a body comes before the equations inside it.
    """
    n_x = len(traced.program.inputs) - traced.n_captured
    inputs = [Flow()] * traced.n_captured + [Flow(depends=True, moved=True)] * n_x
    found: list[Step] = []
    _walk(traced.program, inputs, _Around(), found)
    return found


def _walk(program: Program, inputs: Sequence[Flow], around: _Around, found: list[Step]) -> list[Flow]:
    known: dict[Any, Flow] = dict(zip(program.inputs, inputs, strict=True))

    def read(atom: Any) -> Flow:
        return Flow() if _compat.is_literal(atom) else known.get(atom, Flow())

    for position, equation in enumerate(program.equations):
        site = (*around.site, position)
        flows = [read(atom) for atom in equation.invars]
        place = len(found)
        outputs = _through(equation, flows, site, around, found)
        scopes = around.scopes + _compat.scopes_of(equation)
        step = Step(
            site, equation, scopes, len(around.scopes), tuple(flows), tuple(outputs), around.loops, around.enclosing
        )
        found.insert(place, step)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in program.outputs]


def _through(equation: Equation, flows: Sequence[Flow], site: Site, around: _Around, found: list[Step]) -> list[Flow]:
    bodies = _compat.bodies_of(equation)

    def body(number: int, inputs: Sequence[Flow]) -> list[Flow]:
        return _walk(bodies[number], inputs, around.inside(equation, site, number), found)

    match _compat.kind_of(equation) if bodies else "plain":
        case "call" | "custom" | "remat":
            return body(0, flows)
        case "cond":
            results = [body(number, flows[1:]) for number in range(len(bodies))]
            return [_either(column, flows[0]) for column in zip(*results, strict=True)]
        case "scan":
            n_constants, n_carry, _ = _compat.scan_split(equation)
            n_fixed = n_constants + n_carry
            slices = [flow.sliced() for flow in flows[n_fixed:]]
            outputs = _settle(body, 0, list(flows[:n_constants]), list(flows[n_constants:n_fixed]), slices, found)
            return outputs[:n_carry] + [flow.stacked() for flow in outputs[n_carry:]]
        case "while":
            n_test, n_body = _compat.while_split(equation)
            constants, state = list(flows[n_test : n_test + n_body]), list(flows[n_test + n_body :])
            return _settle(body, 1, constants, state, [], found)
    return _plain(equation, flows)


def _either(results: Iterable[Flow], choice: Flow) -> Flow:
    """Join what is known of a value in each branch; it depends on the input if only the choice does."""
    joined = Flow()
    for result in results:
        joined |= result
    return joined if joined.depends else Flow(choice.depends)


def _settle(
    body: Any, number: int, constants: list[Flow], state: list[Flow], slices: list[Flow], found: list[Step]
) -> list[Flow]:
    """Walk a loop's body until what is known of its state stops growing."""
    while True:
        place = len(found)
        outputs = body(number, constants + state + slices)
        grown = [old | new for old, new in zip(state, outputs, strict=False)]
        if grown == state:
            return [*state, *outputs[len(state) :]]
        del found[place:]
        state = grown


def _plain(equation: Equation, flows: Sequence[Flow]) -> list[Flow]:
    if not any(flow.depends for flow in flows):
        return [Flow()] * len(equation.outvars)
    axes = [flow.axis for flow in flows]
    moved = equation.primitive.name in MOVEMENTS and all(flow.moved for flow in flows if flow.depends)
    return [Flow(True, _axis(equation, axes, number), moved) for number in range(len(equation.outvars))]


def _axis(equation: Equation, axes: Sequence[int | None], number: int) -> int | None:
    if all(axis is None for axis in axes):
        return 0 if added_in_front(equation, number) else None
    return batch_axis(equation, axes, number)
