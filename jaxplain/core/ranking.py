"""Orders of importance: rank 0 is the most important pixel.

One tie rule holds everywhere: equal scores keep row-major order, so that "the first 10 %" never depends on a sort.
NaN ranks last, for NumPy and for JAX. A rank image is all that a sweep needs: ``rank < k`` are the first k pixels.
"""

import math
from typing import Any, Literal, get_args

import jax
import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.core import ops

Coarse = Literal["native", "bilinear"]


def rank(scores: Any) -> Any:
    """Rank scores from the highest, 0, to the lowest, ``size - 1``; ties keep row-major order.

    Args:
        scores: Array of any shape, NumPy or JAX.

    Returns:
        int32 array of the same shape and library: a permutation of ``0 ... size - 1``.

    Example:
        >>> rank(np.array([[0.1, 0.9], [0.9, 0.5]])).tolist()
        [[3, 0], [1, 2]]
    """
    flat = scores.reshape(-1)
    if isinstance(scores, jax.Array):
        return ops.rank(flat).reshape(scores.shape)
    order = np.argsort(-flat, stable=True)
    return np.argsort(order, stable=True).astype(np.int32).reshape(scores.shape)


def reverse(ranks: Any) -> Any:
    """Return the reversed order, least important first."""
    return np.int32(math.prod(ranks.shape) - 1) - ranks


def rank_coarse(scores: Any, shape: tuple[int, ...], *, how: Coarse = "native") -> Any:
    """Rank the pixels of an image by a map that is coarser than the image.

    A nearest-upsampled 12 x 16 map has 192 distinct values on 196,608 pixels; ranked as it is, "10 %" would depend on
    the order inside ties alone.

    Args:
        scores: The map at its own resolution.
        shape: The image's axes, as many as the map has.
        how: "native" ranks the cells and then takes each cell's pixels together, row-major inside the cell;
            "bilinear" interpolates the map first (linear along each axis, pixel centers aligned, edges held).

    Returns:
        int32 array of ``shape``.

    Raises:
        InputError: If the number of axes differs, the map exceeds the image, or ``how`` is unknown.
    """
    if len(scores.shape) != len(shape) or any(s > t for s, t in zip(scores.shape, shape, strict=False)):
        raise InputError(f"rank_coarse: map {tuple(scores.shape)} cannot cover {shape}; pass the image's own axes.")
    match how:
        case "native":
            cells = rank(scores)
            for axis, (cell, size) in enumerate(zip(scores.shape, shape, strict=True)):
                cells = cells.__array_namespace__().take(cells, _nearest(cell, size), axis=axis)
            return rank(-cells)
        case "bilinear":
            return rank(upsample(scores, shape))
    raise unknown("rank_coarse", "way", how, get_args(Coarse))


def upsample(scores: Any, shape: tuple[int, ...]) -> Any:
    """Interpolate linearly along every axis, pixel centers aligned and edges held; constants stay exact."""
    xp = scores.__array_namespace__()
    for axis, (cell, size) in enumerate(zip(scores.shape, shape, strict=True)):
        center = np.clip((np.arange(size) + 0.5) * (cell / size) - 0.5, 0, cell - 1)
        low = np.floor(center).astype(np.int32)
        part = np.expand_dims(center - low, tuple(a for a in range(len(shape)) if a != axis)).astype(scores.dtype)
        below = xp.take(scores, low, axis=axis)
        above = xp.take(scores, np.minimum(low + 1, cell - 1), axis=axis)
        scores = below + part * (above - below)
    return scores


def _nearest(cell: int, size: int) -> np.ndarray:
    """Return the cell whose center is nearest to each pixel's center."""
    return (((2 * np.arange(size) + 1) * cell) // (2 * size)).astype(np.int32)
