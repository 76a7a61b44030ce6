"""Maps as they are stored: float16 values with one float32 scale per map, or float32 as they are.

The scale is the largest finite magnitude of the map, so the values lie in [-1, 1] and decoding is off by at most
2**-11 of that magnitude. A map of zeros decodes to exact zeros; NaN and Inf stay what they are.
"""

import numpy as np

from jaxplain._errors import unknown

ENCODINGS = ("float16", "float32")
ERROR_BOUND = 2.0**-11
"""Largest error of a float16 map as a fraction of the map's largest magnitude."""
_BLOCK = 16 * 2**20  # bytes of float32 worked on at once, so that a shard needs no second copy of itself


def encode(maps: np.ndarray, how: str = "float16", *, leading: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Encode maps for the store.

    Args:
        maps: Maps (image, [target,] *in), float32.
        how: ``"float16"`` (with a scale per map) or ``"float32"`` (exact, scale 1).
        leading: Number of leading axes that count maps: 1, or 2 with a target axis.

    Returns:
        The values in the given dtype and the scales, float32, of shape ``maps.shape[:leading]``.
    """
    if how not in ENCODINGS:
        raise unknown("encode", "encoding", how, ENCODINGS)
    maps = np.asarray(maps, dtype=np.float32)
    scale = np.ones(maps.shape[:leading], np.float32)
    if how == "float32":
        return maps, scale
    value = np.empty(maps.shape, np.float16)
    flat, out, one = (a.reshape(scale.size, -1) for a in (maps, value, scale))
    step = max(1, _BLOCK // max(1, 4 * flat.shape[1]))
    for first in range(0, len(flat), step):
        block = flat[first : first + step]
        size = np.abs(block)
        largest = np.where(np.isfinite(size), size, 0).max(axis=1, initial=0)[:, None]
        one[first : first + step] = np.where(largest > 0, largest, 1)
        out[first : first + step] = block / one[first : first + step]
    return value, scale


def decode(value: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the float32 maps of `encode`'s two results."""
    scale = np.asarray(scale, np.float32)
    factor = scale.reshape(scale.shape + (1,) * (value.ndim - scale.ndim))
    return np.asarray(value, np.float32) * factor
