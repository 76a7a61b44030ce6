"""Finding normalization layers: a value divided by its own size, which is a statistic over groups of entries."""

from collections.abc import Iterator
from typing import Any

from jaxplain._compat import Equation
from jaxplain.graph.recognition.degrees import Degrees, NoParts, is_layout, is_polynomial
from jaxplain.graph.recognition.strides import whole
from jaxplain.graph.recognition.wiring import Wiring
from jaxplain.graph.walk import Run

_WITH_CONSTANT = ("add", "sub", "mul", "div", "max", "min", "neg", "integer_pow")


def normalization_at(wiring: Wiring, end: int) -> tuple[str, Run, Any] | None:
    """Return the kind, the equations and the statistic of a normalization that ends at a product or quotient.

    Args:
        wiring: The wiring of the program.
        end: The position of its last equation.
    """
    for value, factor in wiring.products(end):
        statistic = wiring.back(factor, _with_constant)
        for source, shift in _sources(wiring, value):
            run = wiring.run(end, source, is_polynomial)
            kind = _kind(run, source, value, factor, shift) if run else ""
            if run and kind:
                return kind, run, statistic
    return None


def _with_constant(equation: Equation) -> bool:
    return is_layout(equation) or equation.primitive.name in _WITH_CONSTANT


def _sources(wiring: Wiring, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the values, nearest first, of which one is what is normalized, each with what is subtracted from it."""
    shift = None
    while True:
        yield value, shift
        position = wiring.maker.get(value)
        if position is None:
            return
        equation, moving = wiring.program.equations[position], wiring.moving(position)
        name = equation.primitive.name
        if name == "sub" and len(moving) == 2 and shift is None:
            value, shift = equation.invars
        elif len(moving) == 1 and (is_layout(equation) or name == "mul" or _keeps(wiring, equation, moving[0])):
            (value,) = moving
        else:
            return


def _keeps(wiring: Wiring, equation: Equation, moving: Any) -> bool:
    """Tell whether an equation divides a value by a constant, or takes zero from it as Flax's RMSNorm does."""
    if equation.invars[0] is not moving or len(equation.invars) != 2:
        return False
    name = equation.primitive.name
    return name == "div" or (name == "sub" and wiring.number(equation.invars[1]) == 0)


def _kind(run: Run, source: Any, value: Any, factor: Any, shift: Any) -> str:
    """Return the kind of normalization that a block is, or ``""``."""
    try:
        degrees = Degrees(run.equations, source)
    except NoParts:
        return ""
    parts, groups = degrees.parts, degrees.groups
    over, under, result = parts[value], parts[factor], parts[run.equations[-1].outvars[0]]
    if over.is_statistic or over.degree != 1 or result.degree != 0 or not (under.is_statistic and under.of_squares):
        return ""
    if not groups:
        return ""
    if shift is None:
        return "rms_norm"
    if not (parts[shift].is_statistic and parts[shift].degree == 1) or parts[shift].of_squares:
        return ""
    return "layer_norm" if groups == whole(source.aval.shape)[-1] else "group_norm"
