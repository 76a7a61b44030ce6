"""Types shared by the whole library.

Shapes are of one example: ``*in`` is the input's shape (channels last), ``*t`` is ``()`` or ``(targets,)`` and
``*out`` is ``*t`` followed by ``*in``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import jax

Array = jax.Array
PyTree = Any
ScoreFn = Callable[[Array], Array]
"""A pure function of one example: ``(*in) -> (*t)``."""


@dataclass(frozen=True)
class Range:
    """The valid values of a numeric knob; bounds are closed unless ``open_low`` says otherwise."""

    low: float = float("-inf")
    high: float = float("inf")
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and value <= self.high

    def __str__(self) -> str:
        return f"{'(' if self.open_low else '['}{self.low:g}, {self.high:g}]"


Count = Annotated[int, Range(low=1)]
"""A number of samples, steps or masks."""
NonNegative = Annotated[float, Range(low=0)]
Positive = Annotated[float, Range(low=0, open_low=True)]
Fraction = Annotated[float, Range(low=0, high=1)]
