"""How the values of a block follow from its source: entry by entry, or as statistics over groups of entries.

A value has a degree in the source ``x``: 1 for ``x`` and ``x - mean(x)``, 2 for a sum of squares, -1 for one over its
root. What is divided by its own size has the degree 0. Numbers and other values that do not depend on the source have
no part in it, so ``mean(x**2) + eps`` has the degree 2 as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxplain import _compat
from jaxplain._compat import Equation
from jaxplain.graph.recognition.strides import LAYOUT, Axis, Layout, NoLayout, digits_of, laid, spread, whole, zeroed

CONVERTING = frozenset(("convert_element_type", "copy", "copy_p", "stop_gradient", "reduce_precision", "name"))
_TOGETHER = frozenset(("add", "add_any", "sub", "max", "min", "clamp", "neg", "abs")) | CONVERTING
_COMPARING = frozenset(("eq", "ne", "gt", "ge", "lt", "le"))
_REDUCING = frozenset(("reduce_sum", "reduce_max"))


@dataclass(frozen=True)
class Part:
    """What is known of one value of a block.

    Args:
        layout: For each of its entries, the entry of the source from which it follows; of a statistic, the first
            entry of the group over which it was taken.
        degree: The degree in the source.
        is_statistic: Whether it follows from groups of entries alone.
        of_squares: Whether a sum of values of degree two is in it.
    """

    layout: Layout
    degree: float = 1
    is_statistic: bool = False
    of_squares: bool = False


class NoParts(Exception):
    """A block is not made of entrywise values and statistics over the same groups."""


class Degrees:
    """The parts of a block, by variable, and the groups over which its statistics are taken.

    Args:
        equations: The block's equations, in order.
        source: The value on which it builds.

    Raises:
        NoParts: Statistics are over different groups or meet entries of other groups, degrees do not agree, or an
            equation is none of those that are known here.
    """

    def __init__(self, equations: Sequence[Equation], source: Any) -> None:
        self.groups: Axis = ()
        """The digits of the source's entries in which those of one group differ; none without statistics."""
        self.parts: dict[Any, Part] = {source: Part(whole(source.aval.shape))}
        try:
            self._follow(equations, self.parts)
        except NoLayout as error:
            raise NoParts from error

    def _follow(self, equations: Sequence[Equation], parts: dict[Any, Part]) -> None:
        for equation in equations:
            operands = [None if _compat.is_literal(atom) else parts.get(atom) for atom in equation.invars]
            if all(operand is None for operand in operands):
                continue
            if _compat.kind_of(equation) in ("call", "custom"):
                (body,) = _compat.bodies_of(equation)
                inner = {v: part for v, part in zip(body.inputs, operands, strict=True) if part is not None}
                self._follow(body.equations, inner)
                outputs = [None if _compat.is_literal(atom) else inner.get(atom) for atom in body.outputs]
            else:
                outputs = [self._of(equation, operands)]
            pairs = zip(equation.outvars, outputs, strict=True)
            parts.update((variable, part) for variable, part in pairs if part is not None)

    def _of(self, equation: Equation, operands: Sequence[Part | None]) -> Part:
        name = equation.primitive.name
        if name in LAYOUT or name in _REDUCING:
            (one,) = [operand for operand in operands if operand is not None]
            if name in _REDUCING:
                return self._reduced(equation, one)
            return replace(one, layout=laid(equation, one.layout))
        degree = _degree(equation, operands)
        moving = [operand for operand in operands if operand is not None]
        return self._joined(moving, tuple(equation.outvars[0].aval.shape), degree)

    def _joined(self, moving: Sequence[Part], shape: tuple[int, ...], degree: float) -> Part:
        """Return the part of an entrywise function of several; their entries must belong together."""
        base = next((part for part in moving if not part.is_statistic), moving[0])
        layout = spread(base.layout, shape)
        of_groups = layout if base.is_statistic else zeroed(layout, self.groups)
        if any(spread(part.layout, shape) != (of_groups if part.is_statistic else layout) for part in moving):
            raise NoParts
        return Part(layout, degree, base.is_statistic, any(part.of_squares for part in moving))

    def _reduced(self, equation: Equation, part: Part) -> Part:
        axes = {int(axis) for axis in equation.params["axes"]}
        groups = digits_of(part.layout, axes)
        spread_out = any(stride == 0 for axis in part.layout for _, stride in axis)
        if part.is_statistic or spread_out or (self.groups and self.groups != groups):
            raise NoParts
        self.groups = groups
        squares = equation.primitive.name == "reduce_sum" and part.degree == 2
        kept = tuple(axis for place, axis in enumerate(part.layout) if place not in axes)
        return Part(kept, part.degree, True, part.of_squares or squares)


def _degree(equation: Equation, operands: Sequence[Part | None]) -> float:
    name = equation.primitive.name
    if name in _COMPARING or name == "exp":
        return 0
    if name in _TOGETHER or name == "select_n":
        cases = operands[1:] if name == "select_n" else operands
        degrees = {part.degree for part in cases if part is not None}
        if len(degrees) > 1:
            raise NoParts
        return degrees.pop() if degrees else 0
    powers = [0 if part is None else part.degree for part in operands]
    if name == "mul":
        return sum(powers)
    if name == "div":
        return powers[0] - powers[1]
    return powers[0] * exponent(equation)


def exponent(equation: Equation) -> float:
    """Return the power to which an equation raises its first operand.

    Raises:
        NoParts: It is no power, or of an exponent that is not written into it.
    """
    name = equation.primitive.name
    if name == "integer_pow":
        return float(equation.params["y"])
    if name == "pow" and _compat.is_literal(equation.invars[1]):
        return float(equation.invars[1].val)
    if name not in _POWERS:
        raise NoParts
    return _POWERS[name]


_POWERS = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5}
_POLYNOMIAL = frozenset(("mul", "div", "select_n", "pow", "integer_pow", "reduce_sum", *_POWERS))


def made_of(names: frozenset[str]) -> Callable[[Equation], bool]:
    """Return the test whether an equation, or all that it calls, is among these primitives."""

    def allowed(equation: Equation) -> bool:
        if _compat.kind_of(equation) in ("call", "custom"):
            return all(allowed(inner) for body in _compat.bodies_of(equation) for inner in body.equations)
        return equation.primitive.name in names

    return allowed


is_layout = made_of(LAYOUT | CONVERTING)
is_polynomial = made_of(LAYOUT | _TOGETHER | _COMPARING | _POLYNOMIAL)
is_exponential = made_of(
    LAYOUT | CONVERTING | frozenset(("exp", "sub", "max", "div", "mul", "integer_pow")) | _REDUCING
)
