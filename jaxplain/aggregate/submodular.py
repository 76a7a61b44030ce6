"""SP-LIME: a few images whose explanations together show what a model looks at.

The features are segments that all images share: a grid or an atlas over aligned images. Segments cut image by image
have no features in common, and nothing can be picked among them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.core.segments import as_segments

BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Pick:
    """What was picked, best first.

    Args:
        rows: Row of each picked image.
        gains: What each added to the coverage; 0 where nothing was left to cover.
        importance: ``(segments,)``, of each segment over all images.
        covered: ``(segments,)`` booleans, which the picked images show.
    """

    rows: np.ndarray
    gains: np.ndarray
    importance: np.ndarray
    covered: np.ndarray


def sp_lime(maps: Any, segments: Any, *, n_picks: int = 5, n_features: int = 10) -> Pick:
    """Pick images whose explanations cover the important segments: the submodular pick of LIME.

    ``W_ij`` is the weight of segment j in image i, 0 unless it is among the ``n_features`` largest of that image by
    magnitude; ``I_j = sqrt(sum_i |W_ij|)``; greedy picks maximize the coverage ``c(V) = sum_j I_j [W_ij != 0 for some
    i in V]``, ties by the lowest row. The greedy coverage is at least 1 - 1/e = 63 % of the largest.

    Args:
        maps: ``(n, *space)`` or ``(n, *space, channels)``, explanations of one score per image, constant on each
            segment as those of ``lime`` are, or any whose mean over a segment is to count; also the maps of a store,
            which are read piece by piece. Images with maps that are not finite are never picked.
        segments: Integers 0 to d - 1 of the shape of one map, or without its channels; shared by all images.
        n_picks: Number of images to pick, at most those with finite maps.
        n_features: Segments that count per image; 5 picks and 10 segments are the defaults of the authors' code. With
            all segments, one image covers nearly everything.

    Returns:
        The rows of the picked images with their gains.

    Raises:
        InputError: Numbers out of range, or segments that do not fit the maps.

    References:
        Ribeiro, Singh and Guestrin 2016, "Why should I trust you?", arXiv:1602.04938, section 4. Nemhauser, Wolsey and
        Fisher 1978, An analysis of approximations for maximizing submodular set functions, doi:10.1007/BF01588971.

    Example:
        >>> maps = np.array([[3.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        >>> sp_lime(maps, np.arange(3), n_picks=2, n_features=2).rows.tolist()
        [1, 2]
    """
    weights = largest_features(segment_weights(maps, segments), n_features)
    return submodular_pick(weights, n_picks)


def segment_weights(maps: Any, segments: Any) -> np.ndarray:
    """Return the mean of every map over every segment, ``(n, segments)`` float64.

    Args:
        maps: ``(n, *space)`` or ``(n, *space, channels)``, an array or the maps of a store.
        segments: Integers 0 to d - 1 of the shape of one map, or without its channels.
    """
    parts = as_segments("sp_lime", segments, tuple(maps.shape[1:]))
    labels = np.asarray(parts.labels)
    order = np.argsort(labels, axis=None, kind="stable")
    sizes = np.bincount(labels.ravel(), minlength=parts.n)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = [np.empty((0, parts.n))]
    for block in _blocks(maps):
        with np.errstate(invalid="ignore"):  # infinities of both signs make NaN
            pixels = block.reshape(len(block), labels.size, -1).mean(axis=-1, dtype=np.float64)
            found.append(np.add.reduceat(pixels[:, order], starts, axis=1) / sizes)
    return np.concatenate(found)


def largest_features(weights: np.ndarray, n_features: int) -> np.ndarray:
    """Set all but the n largest weights of each row, by magnitude, to zero; ties go to the first."""
    if n_features < 1:
        raise InputError(f"sp_lime: n_features = {n_features} must be at least 1.")
    kept = np.zeros(weights.shape, bool)
    first = np.argsort(-np.abs(weights), axis=1, kind="stable")[:, :n_features]
    np.put_along_axis(kept, first, True, axis=1)
    return np.where(kept, weights, 0.0)


def submodular_pick(weights: np.ndarray, n_picks: int) -> Pick:
    """Pick rows greedily by the coverage of important columns, ties by the lowest row.

    Args:
        weights: ``(n, d)``, what each row shows of each column; rows that are not finite are never picked.
        n_picks: Number of rows, at most those that are finite.

    Raises:
        InputError: More rows are to be picked than there are.

    Example:
        >>> submodular_pick(np.array([[4.0, 0.0], [0.0, 9.0]]), 1).importance
        array([2., 3.])
    """
    weights = np.asarray(weights, np.float64)
    finite = np.isfinite(weights).all(axis=1)
    if not 1 <= n_picks <= finite.sum():
        raise InputError(f"sp_lime: {n_picks} picks of {finite.sum()} images with finite maps; pass 1 to that number.")
    magnitude = np.abs(np.where(finite[:, None], weights, 0.0))
    importance, shows = np.sqrt(magnitude.sum(axis=0)), magnitude > 0
    covered, left = np.zeros(weights.shape[1], bool), finite.copy()
    rows, gains = [], []
    for _ in range(n_picks):
        gain = np.where(left, shows @ np.where(covered, 0.0, importance), -1.0)
        best = int(np.argmax(gain))
        rows.append(best)
        gains.append(gain[best])
        left[best] = False
        covered |= shows[best]
    return Pick(np.array(rows), np.array(gains), importance, covered)


def _blocks(maps: Any) -> Iterator[np.ndarray]:
    for start in range(0, len(maps), BLOCK):
        yield np.asarray(maps[start : start + BLOCK])
