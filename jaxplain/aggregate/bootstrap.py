"""Bootstrap over images: the same resamples for every score, step and label.

Resampling with replacement is a whole-number weight per image; sharing the weights over all steps of a curve makes a
resampled curve a curve, so that areas and differences get intervals too. Each resample has a generator of its own,
seeded by (seed, resample): the first hundred are the same whether a hundred or a thousand are drawn.
"""

import numpy as np


def resample_counts(n: int, resamples: int, *, seed: int) -> np.ndarray:
    """Draw how often each image occurs in each resample.

    Args:
        n: Number of images.
        resamples: Number of resamples.
        seed: Non-negative integer.

    Returns:
        ``(n, resamples)`` uint8; each column sums to n. A count follows Binomial(n, 1/n): above 255 it has a
        probability below 1e-500.
    """
    counts = np.empty((n, resamples), np.uint8)
    for number in range(resamples):
        drawn = np.random.default_rng([seed, number]).integers(n, size=n) if n else np.zeros(0, np.int64)
        counts[:, number] = np.bincount(drawn, minlength=n)
    return counts


def interval(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval over the last axis, leaving out undefined (NaN) resamples.

    A rare label may be missing from a resample altogether; where it is missing from all, the interval is NaN.

    Args:
        values: ``(..., resamples)``.
        level: Coverage, between 0 and 1.
    """
    defined = ~np.isnan(values)
    low, high = (np.full(values.shape[:-1], np.nan) for _ in range(2))
    some = defined.any(axis=-1)
    if some.any():
        tails = [(1 - level) / 2, (1 + level) / 2]
        quantile = np.quantile if defined[some].all() else np.nanquantile
        low[some], high[some] = quantile(values[some], tails, axis=-1)
    return low, high
