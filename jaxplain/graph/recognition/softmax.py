"""Finding softmax: exponentials divided by their sum over groups of entries."""

from collections.abc import Iterator
from typing import Any

from jaxplain.graph.recognition.degrees import Degrees, NoParts, exponent, is_exponential, is_layout
from jaxplain.graph.recognition.wiring import Wiring
from jaxplain.graph.walk import Run


def softmax_at(wiring: Wiring, end: int) -> Run | None:
    """Return the equations of a softmax that ends at a product or quotient; the shift by the maximum is one of them.

    Args:
        wiring: The wiring of the program.
        end: The position of its last equation.
    """
    for value, factor in wiring.products(end):
        summing = wiring.making(_divisor(wiring, end, factor))
        if summing is None or summing.primitive.name != "reduce_sum":
            continue
        given = _given(wiring, value)
        if given is None or _given(wiring, summing.invars[0]) is not given:
            continue
        for source in _sources(wiring, given):
            run = wiring.run(end, source, is_exponential)
            if run and _has_groups(run, source):
                return run
    return None


def _divisor(wiring: Wiring, end: int, factor: Any) -> Any:
    """Return the value by which is divided, or with whose reciprocal is multiplied."""
    factor = wiring.back(factor, is_layout)
    equation = wiring.making(factor)
    if wiring.program.equations[end].primitive.name == "div" or equation is None:
        return factor
    inverted = None
    if equation.primitive.name == "div" and wiring.number(equation.invars[0]) == 1:
        inverted = equation.invars[1]
    elif equation.primitive.name == "integer_pow" and exponent(equation) == -1:
        inverted = equation.invars[0]
    return None if inverted is None else wiring.back(inverted, is_layout)


def _given(wiring: Wiring, value: Any) -> Any:
    """Return the value whose exponential this is, or None."""
    equation = wiring.making(wiring.back(value, is_layout))
    return equation.invars[0] if equation is not None and equation.primitive.name == "exp" else None


def _sources(wiring: Wiring, given: Any) -> Iterator[Any]:
    """Yield the values that may be the source: before the shift by the maximum, then after it."""
    equation = wiring.making(wiring.back(given, is_layout))
    if equation is not None and equation.primitive.name == "sub":
        value = equation.invars[0]
        yield value
        while (before := wiring.making(value)) is not None and is_layout(before) and len(before.invars) == 1:
            (value,) = before.invars
            yield value
    yield given


def _has_groups(run: Run, source: Any) -> bool:
    try:
        return bool(Degrees(run.equations, source).groups)
    except NoParts:
        return False
