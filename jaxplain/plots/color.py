"""From values to colors, and how the range is chosen.

A signed map uses a diverging color map that is symmetric about 0, so that 0 is always the neutral color. A map without
negative values uses a perceptually uniform one that starts at 0. The range is the largest magnitude of what is drawn
together: nothing is clipped. A value that is not finite is drawn in a gray that neither color map contains.
"""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, Normalize
from numpy.typing import ArrayLike, NDArray

from jaxplain._errors import InputError

POSITIVE_COLORS = "viridis"
SIGNED_COLORS = "RdBu_r"
MISSING_COLOR = (0.55, 0.55, 0.55)


@dataclass(frozen=True)
class ColorRange:
    """The values at the two ends of a color bar; ``low`` is ``-high`` for a signed range and 0 for a positive one."""

    low: float
    high: float

    @property
    def signed(self) -> bool:
        return self.low < 0

    @property
    def colors(self) -> Colormap:
        return matplotlib.colormaps[SIGNED_COLORS if self.signed else POSITIVE_COLORS]

    @property
    def normalize(self) -> Normalize:
        return Normalize(self.low, self.high)


def color_range(*maps: ArrayLike, signed: bool | None = None) -> ColorRange:
    """Return the range that holds every finite value of the maps.

    Args:
        maps: Maps of any shapes that are drawn with the same colors.
        signed: Whether the maps carry a sign; None looks for negative values.

    Returns:
        A range symmetric about 0 for signed maps, from 0 up otherwise; maps of zeros alone get the range up to 1.

    Raises:
        InputError: If ``signed`` is False and a value is negative.

    Example:
        >>> color_range([[-0.5, 2.0]])
        ColorRange(low=-2.0, high=2.0)
    """
    limit, negative = 0.0, False
    for values in maps:
        finite = np.asarray(values, np.float64)
        finite = finite[np.isfinite(finite)]
        if finite.size:
            limit = max(limit, float(np.abs(finite).max()))
            negative = negative or bool(finite.min() < 0)
    if signed is False and negative:
        raise InputError("color_range: signed=False, but a map holds negative values; pass signed=True or their sizes.")
    limit = limit if limit > 0 else 1.0
    return ColorRange(-limit if (negative if signed is None else signed) else 0.0, limit)


def paint(values: ArrayLike, colors: ColorRange) -> NDArray[np.float64]:
    """Return the color (h, w, 3) in [0, 1] of every value of a map (h, w)."""
    array = np.asarray(values, np.float64)
    if array.ndim != 2:
        raise InputError(f"paint: expected a map (h, w), got the shape {array.shape}; pool the channels first.")
    painted = colors.colors(colors.normalize(np.where(np.isfinite(array), array, 0.0)))[..., :3]
    return np.where(np.isfinite(array)[..., None], painted, MISSING_COLOR)


def is_empty(values: ArrayLike) -> bool:
    """Return whether a map holds no finite value at all: it belongs to no image."""
    return not bool(np.isfinite(np.asarray(values, np.float64)).any())
