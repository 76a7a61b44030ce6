"""A map laid over its image.

The image loses its color and the map brings all color there is, so that a hue always means a value. The map's opacity
grows with its magnitude: where a map is 0 the image is seen as it is.
"""

from typing import Literal

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import ArrayLike, NDArray
from PIL import Image as PillowImage

from jaxplain._errors import InputError
from jaxplain.plots.color import color_range

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_POSITIVE = LinearSegmentedColormap.from_list("positive", ["#a4178f", "#e83f5b", "#fb8a26", "#fde725"])
_NEGATIVE_TO_POSITIVE = ["#7fd0ff", "#1d8bff", "#2f55d4", "#c22f3f", "#ff4a35", "#ffb08a"]
_SIGNED = LinearSegmentedColormap.from_list("signed", _NEGATIVE_TO_POSITIVE)
_BOX, _LINEAR = PillowImage.Resampling.BOX, PillowImage.Resampling.BILINEAR


def displayed(image: ArrayLike, low: float | None = None, high: float | None = None) -> NDArray[np.float64]:
    """Return an image as (H, W) gray or (H, W, 3) color in [0, 1].

    Args:
        image: (H, W) or (H, W, C); one channel gives gray, three give color, any other number is averaged to gray.
        low: Value drawn black; None takes the smallest of the image.
        high: Value drawn white; None takes the largest of the image.
    """
    array = np.asarray(image, np.float64)
    if array.ndim == 3 and array.shape[-1] != 3:
        array = array.mean(axis=-1)
    if array.ndim not in (2, 3):
        raise InputError(f"displayed: expected an image (H, W) or (H, W, C), got the shape {array.shape}.")
    finite = array[np.isfinite(array)]
    if not finite.size:
        return np.full(array.shape, 0.5)
    low = float(finite.min()) if low is None else low
    high = float(finite.max()) if high is None else high
    stretched = (np.where(np.isfinite(array), array, low) - low) / (high - low if high > low else 1.0)
    return np.clip(stretched, 0.0, 1.0)


def resized(values: ArrayLike, shape: tuple[int, int], *, smooth: bool = False) -> NDArray[np.float64]:
    """Return a map (h, w) or an image (h, w, c) with another height and width.

    Enlarging repeats cells, so that a coarse map shows its own resolution, or interpolates linearly with ``smooth``;
    shrinking averages.
    """
    array = np.asarray(values, np.float64)
    if array.shape[:2] == shape:
        return array
    if not smooth and shape[0] >= array.shape[0] and shape[1] >= array.shape[1]:
        rows = (np.arange(shape[0]) * array.shape[0]) // shape[0]
        columns = (np.arange(shape[1]) * array.shape[1]) // shape[1]
        return array[rows][:, columns]
    planes = array[..., None] if array.ndim == 2 else array
    shrunk = [_resized_plane(planes[..., channel], shape) for channel in range(planes.shape[-1])]
    return np.stack(shrunk, axis=-1).reshape(*shape, *array.shape[2:])


def bounded(values: ArrayLike, longest: int) -> NDArray[np.float64]:
    """Return a map or an image whose longer side has at most ``longest`` pixels, shrunk by averaging."""
    array = np.asarray(values, np.float64)
    side = max(array.shape[:2])
    if side <= longest:
        return array
    height, width = (max(1, round(length * longest / side)) for length in array.shape[:2])
    return resized(array, (height, width))


def overlay(
    image: ArrayLike,
    attribution: ArrayLike,
    *,
    signed: bool | None = None,
    limit: float | None = None,
    resolution: Literal["cells", "smooth"] = "cells",
    strength: float = 0.9,
) -> NDArray[np.float64]:
    """Lay a map over its image, with opacity ``strength * |map| / limit``.

    Args:
        image: (H, W) or (H, W, C) of any value range; drawn gray.
        attribution: Map (h, w), pooled over channels; it may be coarser than the image. NaN leaves the image as it is.
        signed: Whether the map carries a sign; None looks for negative values.
        limit: Magnitude at full opacity; None takes the map's largest.
        resolution: How a coarse map meets the image: as the cells it was computed in, or interpolated linearly.
        strength: Opacity at the limit, in [0, 1].

    Returns:
        A picture (H, W, 3) in [0, 1].

    Raises:
        InputError: If the map still has a channel axis, or is signed where ``signed`` is False.
    """
    gray = displayed(image)
    gray = gray @ _LUMINANCE if gray.ndim == 3 else gray
    values = np.asarray(attribution, np.float64)
    if values.ndim != 2:
        raise InputError(f"overlay: expected a map (h, w), got the shape {values.shape}; pool the channels first.")
    colors = color_range(values, signed=signed)
    values = resized(np.where(np.isfinite(values), values, 0.0), gray.shape, smooth=resolution == "smooth")
    share = np.clip(values / (colors.high if limit is None else limit), -1.0, 1.0)
    hue = _SIGNED((share + 1) / 2) if colors.signed else _POSITIVE(share)
    opacity = strength * np.abs(share)[..., None]
    # A narrower range of grays keeps the darkest and brightest parts of the image apart from the map's own colors.
    return (1 - opacity) * (0.12 + 0.76 * gray[..., None]) + opacity * hue[..., :3]


def overlay_colors(signed: bool, *, length: int = 128) -> NDArray[np.float64]:
    """Return the overlay's color bar (1, length, 3): the map's range laid over a middle gray."""
    share = np.linspace(-1.0 if signed else 0.0, 1.0, length)[None]
    hue = _SIGNED((share + 1) / 2) if signed else _POSITIVE(share)
    opacity = 0.9 * np.abs(share)[..., None]
    return (1 - opacity) * 0.5 + opacity * hue[..., :3]


def _resized_plane(plane: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    enlarges = shape[0] >= plane.shape[0] and shape[1] >= plane.shape[1]
    picture = PillowImage.fromarray(plane.astype(np.float32))
    return np.asarray(picture.resize(shape[::-1], _LINEAR if enlarges else _BOX), np.float64)
