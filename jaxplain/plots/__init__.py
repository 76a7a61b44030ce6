"""Figures of maps, overlays and curves, and the report that puts them on one page.

Every figure comes from a pure function of arrays and belongs to no window: it is a ``matplotlib.figure.Figure``, made
without pyplot, that any thread may draw and save.
"""

from jaxplain.plots.areas import Area, Estimate, area_table
from jaxplain.plots.color import ColorRange, color_range, paint
from jaxplain.plots.curves import Curve, curve_figure
from jaxplain.plots.encoding import png_bytes, svg_bytes
from jaxplain.plots.grid import folded, map_grid
from jaxplain.plots.overlay import displayed, overlay
from jaxplain.plots.theme import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "Area",
    "ColorRange",
    "Curve",
    "Estimate",
    "Theme",
    "area_table",
    "color_range",
    "curve_figure",
    "displayed",
    "folded",
    "map_grid",
    "overlay",
    "paint",
    "png_bytes",
    "svg_bytes",
]
