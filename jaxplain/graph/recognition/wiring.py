"""The wiring of one program: who makes and who reads each value, and the block of equations between two values."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.flow import Step
from jaxplain.graph.walk import Run, Site

_SPREADING = ("broadcast_in_dim", "reshape", "convert_element_type")


class Wiring:
    """The makers and readers of one program's values.

    Args:
        program: The program.
        steps: Its equations as steps, by position.
        whole: Sets of positions, of each of which a block takes all or none.
    """

    def __init__(self, program: Program, steps: Mapping[int, Step], whole: Iterable[set[int]] = ()) -> None:
        self.program = program
        self.steps = steps
        self.whole = list(whole)
        self.maker = {v: k for k, equation in enumerate(program.equations) for v in equation.outvars}
        self.readers: dict[Any, set[int]] = {}
        for position, equation in enumerate(program.equations):
            for atom in equation.invars:
                if not _compat.is_literal(atom):
                    self.readers.setdefault(atom, set()).add(position)
        self.returned = {atom for atom in program.outputs if not _compat.is_literal(atom)}

    def moving(self, position: int) -> list[Any]:
        """Return the operands of an equation that depend on the input, each once."""
        step = self.steps[position]
        pairs = zip(step.equation.invars, step.inputs, strict=True)
        return list(dict.fromkeys(atom for atom, flow in pairs if flow.depends))

    def making(self, variable: Any) -> Equation | None:
        """Return the equation that makes a value, or None for an input of the program."""
        position = self.maker.get(variable)
        return None if position is None else self.program.equations[position]

    def back(self, variable: Any, through: Callable[[Equation], bool]) -> Any:
        """Follow a value back as long as what makes it is passed and has one operand that depends on the input."""
        while (position := self.maker.get(variable)) is not None:
            moving = self.moving(position)
            if len(moving) != 1 or not through(self.program.equations[position]):
                break
            (variable,) = moving
        return variable

    def products(self, position: int) -> Iterator[tuple[Any, Any]]:
        """Yield the operands of a product or quotient of two dependent values, what may be the divisor second."""
        equation = self.program.equations[position]
        if len(self.moving(position)) == 2:
            first, second = equation.invars
            yield first, second
            if equation.primitive.name == "mul":
                yield second, first

    def number(self, atom: Any) -> float | None:
        """Return the number that is written into the program for a value, in whatever shape it is spread."""
        while not _compat.is_literal(atom):
            equation = self.making(atom)
            if equation is None or equation.primitive.name not in _SPREADING:
                return None
            atom = equation.invars[0]
        return float(atom.val) if np.size(atom.val) == 1 else None

    def run(self, end: int, source: Any, allowed: Callable[[Equation], bool]) -> Run | None:
        """Return the equations from a value to the one that ends a block, in order.

        Args:
            end: The position of the block's last equation.
            source: The one value that depends on the input on which the block may build.
            allowed: Which equations may be part of it.

        Returns:
            The block, or None where there is none: something else that depends on the input is read, or more than the
            last value is used outside.
        """
        found: set[int] = set()
        ahead = [end]
        while ahead:
            position = ahead.pop()
            if position in found:
                continue
            if not allowed(self.program.equations[position]):
                return None
            found.add(position)
            for variable in self.moving(position):
                if variable is not source and variable not in self.maker:
                    return None
                if variable is not source:
                    ahead.append(self.maker[variable])
        if not self._closed(found, end) or any(block & found and not block <= found for block in self.whole):
            return None
        return Run.of(self.program, sorted(found))

    def _closed(self, positions: set[int], end: int) -> bool:
        inner = (variable for place in positions - {end} for variable in self.program.equations[place].outvars)
        return all(v not in self.returned and self.readers.get(v, set()) <= positions for v in inner)


def by_program(found: Sequence[Step]) -> dict[Site, dict[int, Step]]:
    """Return the steps of each program, by position, under the site in front of its equations; outer ones first."""
    programs: dict[Site, dict[int, Step]] = {}
    for step in found:
        programs.setdefault(step.site[:-1], {})[step.site[-1]] = step
    return dict(sorted(programs.items()))
