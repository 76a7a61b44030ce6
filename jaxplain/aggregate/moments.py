"""Count, mean and variance that can be merged: Chan, Golub and LeVeque (1979), in float64 on the host.

A running sum of 300,000 float32 maps loses two digits and a float16 one freezes; means and squared deviations in
float64, merged pairwise, keep all of them. The variance is the population's (divided by n).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np


@dataclass(frozen=True, eq=False)
class Moments:
    """Summary of a set of equally shaped arrays.

    Args:
        count: How many arrays.
        mean: Their mean, float64; NaN for an empty set.
        m2: Sum of their squared deviations from the mean, float64; NaN for an empty set.
    """

    count: int
    mean: np.ndarray
    m2: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Population variance; NaN for an empty set."""
        return self.m2 / max(self.count, 1)


def empty(shape: tuple[int, ...]) -> Moments:
    """Return the moments of no arrays of this shape."""
    return Moments(0, np.full(shape, np.nan), np.full(shape, np.nan))


def moments_of(values: np.ndarray) -> Moments:
    """Summarize ``values`` along the first axis, in two passes over them.

    Rows that do not belong must be left out by the caller: nothing is multiplied by a weight of zero, so a NaN
    outside the set cannot reach it.

    Args:
        values: ``(n, *shape)``; converted to float64.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return empty(values.shape[1:])
    mean = values.mean(axis=0)
    deviation = values - mean
    # The first-order term is zero but for the rounding of the mean; it takes that rounding out of both results.
    residue = deviation.mean(axis=0)
    return Moments(len(values), mean + residue, (deviation * deviation).sum(axis=0) - len(values) * residue * residue)


def merge(a: Moments, b: Moments) -> Moments:
    """Combine the moments of two disjoint sets."""
    if not b.count:
        return a
    if not a.count:
        return b
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    return Moments(count, mean, a.m2 + b.m2 + delta * delta * (a.count * b.count / count))


def merge_all(parts: Iterable[Moments], shape: tuple[int, ...]) -> Moments:
    """Combine the moments of any number of sets, in the order given."""
    return reduce(merge, parts, empty(shape))


def balanced(parts: Iterable[Moments], shape: tuple[int, ...]) -> Moments:
    """Return the moments of the mixture in which every non-empty set has the same weight.

    Its mean is the mean of the means; its variance adds the variance between the sets to the mean variance within.
    The count is that of the arrays in all sets; ``m2`` is scaled so that ``variance`` is the mixture's.
    """
    present = [part for part in parts if part.count]
    if not present:
        return empty(shape)
    means = np.stack([part.mean for part in present])
    mean = means.mean(axis=0)
    variance = np.stack([part.variance for part in present]).mean(axis=0) + ((means - mean) ** 2).mean(axis=0)
    count = sum(part.count for part in present)
    return Moments(count, mean, variance * count)
