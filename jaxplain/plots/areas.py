"""The areas under erase and restore curves, as a table that can be read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxplain.plots.wording import number

AREA_COLUMNS = (
    "order of the pixels",
    "erase area",
    "restore area",
    "restore \N{MINUS SIGN} erase",
    "pixels for 95 % of the gain",
)


@dataclass(frozen=True)
class Estimate:
    """A figure with the bounds of its interval; NaN where a figure or its interval is not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class Area:
    """What the curves of one order of the pixels come to.

    Attributes:
        name: The order's name: a method, or a control.
        erase: Area under the erase curve; smaller means that the order found what the model needs.
        restore: Area under the restore curve; larger means the same.
        difference: Restore area minus erase area.
        fraction: Fraction of the pixels that brings back 95 % of the gain of the full image over the blank one.
        control: Whether the order came from no explanation.
    """

    name: str
    erase: Estimate
    restore: Estimate
    difference: Estimate
    fraction: Estimate
    control: bool = False


def area_table(areas: Sequence[Area]) -> tuple[tuple[str, ...], ...]:
    """Return the rows of the table as text, the column titles first, methods before controls.

    Intervals stand in brackets; a dash stands for a figure that is not defined.

    Example:
        >>> half = Estimate(0.5, 0.4, 0.6)
        >>> area_table([Area("gradient", half, half, Estimate(0.0), Estimate(0.12))])[1]
        ('gradient', '0.500 [0.400, 0.600]', '0.500 [0.400, 0.600]', '0.000', '12.0 %')
    """
    ordered = sorted(areas, key=lambda area: area.control)
    return (AREA_COLUMNS, *((area.name, *area_cells(area)) for area in ordered))


def area_cells(area: Area) -> tuple[str, str, str, str]:
    """Return the four figures of one order as text."""
    return (estimate(area.erase), estimate(area.restore), estimate(area.difference), percent(area.fraction))


def estimate(figure: Estimate) -> str:
    """Return a figure with its interval."""
    if not figure.bounded:
        return number(figure.value)
    return f"{number(figure.value)} [{number(figure.low)}, {number(figure.high)}]"


def percent(figure: Estimate) -> str:
    """Return a fraction with its interval in percent."""
    if not math.isfinite(figure.value):
        return number(figure.value)
    shown = f"{number(100 * figure.value, 1)} %"
    if not figure.bounded:
        return shown
    return f"{shown} [{number(100 * figure.low, 1)}, {number(100 * figure.high, 1)}]"
