"""The area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

The AUC of a whole set cannot be averaged over batches, so scores are kept and sorted once: ``presort`` finds for
every positive the negatives below it, ``weighted`` then takes any number of weightings, one pass each. Whole-number
weights (bootstrap counts) are summed as integers, so that the result does not depend on the order of the sum.
"""

from dataclasses import dataclass

import numpy as np

from jaxplain._errors import InputError

BLOCK = 1 << 19
"""Weights taken at once."""


@dataclass(frozen=True, eq=False)
class Presorted:
    """Scores of one label, sorted.

    Args:
        positives: Rows of the positives, from the lowest score.
        negatives: Rows of the negatives, from the lowest score.
        below: For each positive, how many negatives score lower.
        up_to: For each positive, how many negatives score lower or the same.
    """

    positives: np.ndarray
    negatives: np.ndarray
    below: np.ndarray
    up_to: np.ndarray


def presort(scores: np.ndarray, positive: np.ndarray) -> Presorted | None:
    """Sort scores for ``weighted``; None where a score is NaN, which has no rank.

    Args:
        scores: ``(n,)``.
        positive: ``(n,)`` of booleans.
    """
    if scores.shape != positive.shape or scores.ndim != 1:
        raise InputError(f"presort: scores {scores.shape}, positive {positive.shape}; pass two lists of equal length.")
    if np.isnan(scores).any():
        return None
    order = np.argsort(scores, kind="stable")
    up = positive[order]
    positives, negatives = order[up], order[~up]
    below, up_to = (np.searchsorted(scores[negatives], scores[positives], side) for side in ("left", "right"))
    return Presorted(positives, negatives, below, up_to)


def weighted(ranked: Presorted | None, weights: np.ndarray) -> np.ndarray:
    """Return the AUC under each weighting.

    Args:
        ranked: From ``presort``.
        weights: ``(n, r)``, non-negative, integer or floating.

    Returns:
        ``(r,)`` float64; NaN where the positives or the negatives have no weight, or scores are NaN.
    """
    if ranked is None:
        return np.full(weights.shape[1], np.nan)
    found = [_weighted(ranked, weights[:, columns]) for columns in column_blocks(weights)]
    return np.concatenate(found) if found else np.zeros(0)


def column_blocks(weights: np.ndarray) -> list[slice]:
    """Cut the columns so that a block of whole columns stays small beside the machine's memory and caches."""
    width = max(1, BLOCK // max(1, len(weights)))
    return [slice(start, start + width) for start in range(0, weights.shape[1], width)]


def _weighted(ranked: Presorted, weights: np.ndarray) -> np.ndarray:
    exact = np.issubdtype(weights.dtype, np.integer)
    total = np.int64 if exact else np.float64
    # Sums of bootstrap counts fit in 32 bits, at half the memory traffic of 64; only the sum over positives does not.
    narrow = exact and 2 * int(weights.max(initial=0)) ** 2 * len(weights) < 2**31
    kind = np.int32 if narrow else total
    negatives = np.zeros((len(ranked.negatives) + 1, weights.shape[1]), kind)
    np.cumsum(weights[ranked.negatives], axis=0, dtype=kind, out=negatives[1:])
    positives = weights[ranked.positives].astype(kind)
    twice = (positives * (negatives[ranked.below] + negatives[ranked.up_to])).sum(axis=0, dtype=total)
    pairs = positives.sum(axis=0, dtype=total) * negatives[-1].astype(np.float64)
    return np.divide(twice, 2 * pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the area under the ROC curve.

    Args:
        scores: ``(n,)``, higher for the positive class.
        positive: ``(n,)`` of booleans.
        weights: ``(n,)`` non-negative weight per row; equal when omitted.

    Returns:
        In [0, 1]; NaN without positives or without negatives (``undefined`` says which).

    Example:
        >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
        0.875
    """
    if not len(scores):
        return float("nan")
    weights = np.ones(len(scores), np.int64) if weights is None else weights
    return float(weighted(presort(scores, positive), weights[:, None])[0])


def undefined(positive: np.ndarray) -> str | None:
    """Say why the AUC of these rows is not defined, or None when it is."""
    n, ups = len(positive), int(np.sum(positive))
    if not n:
        return "no images"
    if not ups:
        return f"no positive among {n} images"
    return f"no negative among {n} images" if ups == n else None
