"""An exact percentile of a data set that does not fit in memory: two passes, two histograms of 65,536 bins.

The bits of non-negative float32 numbers, read as integers, sort like the numbers. The first pass counts the high
16 bits and so finds the bin that holds the wanted rank; the second counts the low 16 bits inside that bin. The
result is the nearest-rank percentile: a value that occurs, the smallest with at least q percent of the values at or
below it. Values are rounded to float32; NaN is left out.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from jaxplain._errors import InputError

BINS = 1 << 16


def percentile(blocks: Callable[[], Iterable[np.ndarray]], q: float) -> float:
    """Return the nearest-rank percentile of |values|.

    Args:
        blocks: Called twice; yields the same arrays, in any shapes and order, each time.
        q: Percentage, 0 to 100.

    Returns:
        The percentile, or NaN when there are no values.

    Example:
        >>> percentile(lambda: [np.array([3.0, 1.0]), np.array([-2.0, 4.0])], 50)
        2.0
    """
    if not 0 <= q <= 100:
        raise InputError(f"percentile: {q} lies outside 0 to 100; pass a percentage.")
    high = np.zeros(BINS, np.int64)
    for block in blocks():
        high += np.bincount(_bits(block) >> 16, minlength=BINS)
    total = int(high.sum())
    if not total:
        return math.nan
    wanted = max(1, math.ceil(q / 100 * total))
    bin_of, before = _find(high, wanted)
    low = np.zeros(BINS, np.int64)
    for block in blocks():
        bits = _bits(block)
        low += np.bincount(bits[bits >> 16 == bin_of] & 0xFFFF, minlength=BINS)
    rest, _ = _find(low, wanted - before)
    return float(np.uint32(bin_of << 16 | rest).view(np.float32))


def largest(blocks: Callable[[], Iterable[np.ndarray]]) -> float:
    """Return the largest |value|, leaving out NaN; NaN when there are no values."""
    found = math.nan
    for block in blocks():
        if block.size:
            found = float(np.fmax(found, np.fmax.reduce(np.abs(block), axis=None)))
    return found


def _bits(block: np.ndarray) -> np.ndarray:
    values = np.abs(block, dtype=np.float64).astype(np.float32).ravel()
    return values[~np.isnan(values)].view(np.uint32).astype(np.int64)


def _find(histogram: np.ndarray, wanted: int) -> tuple[int, int]:
    """Return the bin that holds the value of rank ``wanted`` (from 1) and how many values lie in the bins before."""
    cumulative = np.cumsum(histogram)
    found = int(np.searchsorted(cumulative, wanted))
    return found, int(cumulative[found] - histogram[found])
