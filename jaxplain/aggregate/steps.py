"""The steps of a sweep: which fractions are asked for, and which masks that takes.

The first and the last step show every image full or blank, whatever the order; only the steps in between are swept.
Fractions that round to the same number of pixels share one mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxplain._errors import InputError

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""The default steps: dense where curves bend, and symmetric. Restoring f of an order is erasing 1 - f of the reversed
one, so only with steps that are symmetric under f -> 1 - f does a random order's difference of areas have mean zero."""


@dataclass(frozen=True)
class Steps:
    """Fractions of n pixels.

    Args:
        fractions: Rising from 0 to 1, both included.
        n: Number of pixels that are ranked.

    Example:
        >>> Steps((0.0, 0.01, 0.1, 1.0), 30).inner.tolist()
        [3]
    """

    fractions: tuple[float, ...]
    n: int

    def __post_init__(self) -> None:
        step_counts(self.fractions, self.n)

    @cached_property
    def counts(self) -> np.ndarray:
        """``(fractions,)``: how many pixels each fraction takes."""
        return step_counts(self.fractions, self.n)

    @cached_property
    def inner(self) -> np.ndarray:
        """``(masks,)``: the different counts strictly between none and all."""
        return np.unique(self.counts[(self.counts > 0) & (self.counts < self.n)])

    def expand(self, first: np.ndarray, inner: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Put curves together from their ends and what was swept.

        Args:
            first: ``(...)``, the value with no pixel taken.
            inner: ``(masks, ...)``.
            last: ``(...)``, the value with all pixels taken.

        Returns:
            ``(fractions, ...)``.
        """
        known = np.concatenate([first[None], inner, last[None]])
        return known[np.searchsorted([0, *self.inner, self.n], self.counts)]


def step_counts(fractions: Sequence[float], n: int) -> np.ndarray:
    """Return how many of n pixels each fraction takes, round(f n).

    Raises:
        InputError: If fractions do not rise from 0 to 1.
    """
    f = np.asarray(fractions, np.float64)
    if f.ndim != 1 or len(f) < 2 or f[0] != 0 or f[-1] != 1 or not (np.diff(f) > 0).all():
        raise InputError(f"peppr: steps {tuple(fractions)} must be fractions that rise from 0 to 1, both included.")
    return np.round(f * n).astype(np.int64)
