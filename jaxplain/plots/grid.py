"""Many maps or pictures in rows and columns, with captions, row titles and color bars.

Every place on the sheet is computed in inches before anything is drawn, so that text has room of its own and nothing
overlaps, whatever the number of maps and the shape of the images.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from jaxplain._errors import InputError
from jaxplain.plots.color import ColorRange, color_range, is_empty, paint
from jaxplain.plots.theme import LIGHT, Theme
from jaxplain.plots.wording import drawable, short_number

_MARGIN, _GAP, _BAR = 0.2, 0.14, 0.75
_SIZE, _LINE = 7.5, 0.14  # points of a caption, inches of one of its lines


def map_grid(
    rows: Sequence[Sequence[ArrayLike | None]],
    *,
    captions: Sequence[Sequence[str]] | None = None,
    row_titles: Sequence[str] | None = None,
    title: str = "",
    share: Literal["all", "row", "each"] = "all",
    signed: bool | None = None,
    shape: tuple[int, int] | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw maps in rows and columns.

    Args:
        rows: Rows of maps (h, w), of pictures (H, W, 3) in [0, 1], or of None for an empty place. Shapes may differ. A
            map without a finite value is shown as an empty frame that says ``no images``.
        captions: A line above each tile; rows as in ``rows``.
        row_titles: A title at the left of each row.
        title: Title of the sheet.
        share: Which maps share their colors, and so a color bar: all, those of a row, or none (each map by its own
            largest magnitude, without a bar).
        signed: Whether the maps carry a sign; None looks for negative values.
        shape: Height and width that tiles of other proportions, such as coarse maps, are stretched to.
        theme: Colors of the page that the figure stands on.

    Returns:
        A figure that belongs to no window; save it with ``figure.savefig`` or ``png_bytes``.

    Raises:
        InputError: If there is nothing to draw, or captions or titles do not match the rows.

    Example:
        >>> import numpy as np
        >>> figure = map_grid([[np.eye(4), -np.eye(4)]], captions=[["one", "two"]])
        >>> len(figure.axes)  # two maps and their color bar
        3
    """
    tiles = [[None if tile is None else np.asarray(tile, np.float64) for tile in row] for row in rows]
    columns = max((len(row) for row in tiles), default=0)
    if columns == 0:
        raise InputError("map_grid: there is no map to draw; pass at least one row with one map.")
    for name, given in (("captions", captions), ("row_titles", row_titles)):
        if given is not None and len(given) != len(tiles):
            raise InputError(f"map_grid: {len(given)} {name} for {len(tiles)} rows; pass one per row.")
    width, height = _tile_size([shape] if shape else [t.shape for row in tiles for t in row if t is not None])
    words = [[_wrapped(text, width) for text in row] for row in captions or [[] for _ in tiles]]
    above = [0.06 + _LINE * max((text.count("\n") + 1 for text in row if text), default=0) for row in words]
    left = 1.3 if row_titles is not None else 0.0
    head = 0.42 if title else 0.0
    bar = _BAR if share != "each" else 0.0
    sheet_width = 2 * _MARGIN + left + columns * (width + _GAP) - _GAP + bar
    sheet_height = 2 * _MARGIN + head + sum(above) + len(tiles) * (height + _GAP) - _GAP
    figure = Figure(figsize=(sheet_width, sheet_height), facecolor=theme.surface)

    def place(x: float, top: float, w: float, h: float) -> Axes:
        box = (x / sheet_width, 1 - (top + h) / sheet_height, w / sheet_width, h / sheet_height)
        return figure.add_axes(box)

    def write(x: float, top: float, text: str, size: float, **style: Any) -> None:
        figure.text(x / sheet_width, 1 - top / sheet_height, text, fontsize=size, parse_math=False, **style)

    if title:
        room = int((sheet_width - 2 * _MARGIN) * 72 / (11 * 0.62))
        write(_MARGIN, _MARGIN, drawable(title, max(room, 8)), 11, color=theme.ink, va="top", weight="bold")
    common = color_range(*_maps(tiles), signed=signed)
    top = _MARGIN + head
    for index, row in enumerate(tiles):
        top += above[index]
        shared = common if share == "all" else color_range(*_maps([row]), signed=signed)
        if row_titles is not None:
            text = _wrapped(row_titles[index], left - 0.1, lines=5)
            write(_MARGIN, top + height / 2, text, 8.5, color=theme.ink, va="center", ha="left")
        for column, tile in enumerate(row):
            x = _MARGIN + left + column * (width + _GAP)
            if tile is None:
                continue
            colors = color_range(tile, signed=signed) if share == "each" and tile.ndim == 2 else shared
            _draw_tile(place(x, top, width, height), tile, colors, theme, shape)
            if column < len(words[index]):
                style = {"color": theme.muted, "ha": "center", "va": "bottom"}
                write(x + width / 2, top - 0.05, words[index][column], _SIZE, **style)
        if share == "row" and _maps([row]):
            x = _MARGIN + left + columns * (width + _GAP)
            _draw_bar(place(x, top + 0.05 * height, 0.1, 0.9 * height), shared, theme)
        top += height + _GAP
    if share == "all" and _maps(tiles):
        start = _MARGIN + head + above[0]
        x = _MARGIN + left + columns * (width + _GAP)
        _draw_bar(place(x, start, 0.1, min(top - _GAP - start, 2.2)), common, theme)
    return figure


def folded(tiles: Sequence[ArrayLike | None], columns: int) -> list[list[ArrayLike | None]]:
    """Break one long row into rows of at most ``columns``."""
    return [list(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]


def _maps(tiles: Sequence[Sequence[NDArray[np.float64] | None]]) -> list[NDArray[np.float64]]:
    return [tile for row in tiles for tile in row if tile is not None and tile.ndim == 2]


def _tile_size(shapes: Sequence[tuple[int, ...]]) -> tuple[float, float]:
    """Give every tile the same room of about 1.4 square inches, wide for wide images and tall for tall ones."""
    ratio = float(np.median([shape[1] / shape[0] for shape in shapes])) if shapes else 1.0
    ratio = min(max(ratio, 0.3), 4.0)
    return 1.2 * math.sqrt(ratio), 1.2 / math.sqrt(ratio)


def _wrapped(text: str, inches: float, lines: int = 2) -> str:
    """Break a text into lines that fit, after spaces and the marks inside names; what is too long ends in ``…``."""
    room = max(int(inches * 72 / (_SIZE * 0.66)), 6)
    parts = [""]
    for piece in re.findall(r"[^\s_./:]*[\s_./:]?", drawable(text, 200)):
        while piece:
            free = room - len(parts[-1])
            if len(piece.rstrip()) > free and parts[-1]:
                parts.append("")
                continue
            parts[-1] += piece[:free]
            piece = piece[free:].lstrip()
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1].rstrip()[: room - 1] + "…"]
    return "\n".join(part.rstrip() for part in parts)


def _draw_tile(
    axes: Axes, tile: NDArray[np.float64], colors: ColorRange, theme: Theme, shape: tuple[int, int] | None
) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
    if tile.ndim == 2 and is_empty(tile):
        axes.set_facecolor(theme.empty)
        style: Any = {"ha": "center", "va": "center", "fontsize": _SIZE, "color": theme.muted}
        axes.text(0.5, 0.5, "no images", transform=axes.transAxes, **style)
        return
    picture = paint(tile, colors) if tile.ndim == 2 else np.clip(tile, 0, 1)
    extent = (0.0, float(shape[1]), float(shape[0]), 0.0) if shape else None
    axes.imshow(picture, interpolation="nearest", extent=extent)


def _draw_bar(axes: Axes, colors: ColorRange, theme: Theme) -> None:
    bar = axes.figure.colorbar(ScalarMappable(colors.normalize, colors.colors), cax=axes)
    ticks = [colors.low, 0.0, colors.high] if colors.signed else [0.0, colors.high / 2, colors.high]
    bar.set_ticks(ticks, labels=[short_number(tick) for tick in ticks])
    bar.ax.tick_params(labelsize=7, colors=theme.muted, length=2)
    bar.outline.set_edgecolor(theme.grid)  # type: ignore[operator]
