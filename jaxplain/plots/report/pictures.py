"""Maps and pictures as tiles of the page: small images with their captions as text."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from jaxplain.plots.color import ColorRange, is_empty, paint
from jaxplain.plots.encoding import address, picture_bytes
from jaxplain.plots.overlay import bounded, overlay_colors
from jaxplain.plots.report.markup import Content, Markup, element
from jaxplain.plots.wording import short_number

_PIXELATED_SIDE = 96
_BYTES_PER_KIND = 2_500_000


def longest_side(n_tiles: int) -> int:
    """Return the largest side of a tile in pixels, so that many tiles stay within about 2.5 MB."""
    return int(np.clip(math.sqrt(_BYTES_PER_KIND / max(n_tiles, 1)), 64, 224))


def map_tile(
    values: NDArray,
    colors: ColorRange,
    caption: Iterable[Content],
    alt: str,
    *,
    longest: int,
    shape: tuple[int, int] | None = None,
) -> Markup:
    """Draw a map as a tile, in the proportions of ``shape``; one that belongs to no image is an empty frame."""
    height, width = shape or values.shape
    ratio = f"aspect-ratio:{width}/{height}"
    if is_empty(values):
        frame = element("div", "no images", class_="empty", style=ratio, role="img", aria_label=f"{alt}: no images")
        return element("figure", frame, element("figcaption", caption), class_="tile")
    native = f"{values.shape[0]} by {values.shape[1]}"
    picture = paint(bounded(values, longest), colors)
    return _tile(picture_bytes(picture, lossless=True), picture.shape, caption, f"{alt}, {native} values", ratio)


def picture_tile(picture: NDArray, caption: Iterable[Content], alt: str, *, longest: int) -> Markup:
    """Draw a picture (H, W) or (H, W, 3) in [0, 1] as a tile."""
    shrunk = bounded(picture, longest)
    return _tile(picture_bytes(shrunk), shrunk.shape, caption, alt)


def color_bar(colors: ColorRange) -> Markup:
    """Draw a color bar with the values at its ends."""
    ramp = paint(np.linspace(colors.low, colors.high, 128)[None], colors)
    ends = (short_number(colors.low), short_number(colors.high))
    alt = f"Color bar from {ends[0]} to {ends[1]}"
    return _bar(ramp, ends, alt, middle="0" if colors.signed else "")


def overlay_bar(signed: bool) -> Markup:
    """Draw the color bar of overlays, whose ends are each map's own largest magnitude."""
    ends = ("\N{MINUS SIGN}largest", "+largest") if signed else ("0", "largest")
    return _bar(
        overlay_colors(signed), ends, f"Color bar of overlays from {ends[0]} to {ends[1]}", "0" if signed else ""
    )


def tile_width(shapes: Sequence[tuple[int, ...]], base: float = 6.6) -> str:
    """Return the smallest width of a tile, wider for wide images, as a CSS length."""
    ratios = [shape[1] / shape[0] for shape in shapes if len(shape) >= 2]
    ratio = float(np.median(ratios)) if ratios else 1.0
    return f"{base * min(max(math.sqrt(ratio), 0.6), 2.2):.2f}rem"


def balanced_columns(n_tiles: int, width: str, *, room: float = 58.0) -> int:
    """Return a number of columns that fills the last row best, for tiles of at least this width in ``room`` rem."""
    most = max(int(room / (float(width.removesuffix("rem")) + 0.7)), 1)
    rows = -(-n_tiles // most) or 1
    return -(-n_tiles // rows) or 1


def _tile(
    content: bytes, shape: tuple[int, ...], caption: Iterable[Content], alt: str, style: str | None = None
) -> Markup:
    kind = "pixels" if max(shape[:2]) <= _PIXELATED_SIDE else None
    image = element("img", src=address(content), alt=alt, width=shape[1], height=shape[0], class_=kind, style=style)
    return element("figure", image, element("figcaption", caption), class_="tile")


def _bar(ramp: NDArray, ends: tuple[str, str], alt: str, middle: str) -> Markup:
    image = element("img", src=address(picture_bytes(ramp, lossless=True)), alt=alt)
    words = [element("span", word) for word in ((ends[0], middle, ends[1]) if middle else ends)]
    return element("div", image, element("div", words, class_="ends"), class_="bar")
