"""Curves of a test that erases and restores pixels in the order of a map.

A curve holds the model's performance at every fraction of the pixels; a control is a curve whose order came from no
explanation. Erasing starts at the full image and takes the most important pixels first; restoring starts at the blank
image and returns the most important pixels first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from jaxplain._errors import InputError
from jaxplain.plots.theme import LIGHT, Theme, line_style
from jaxplain.plots.wording import drawable

Part = Literal["erase", "restore"]
_TITLES = {"erase": "Erase the most important first", "restore": "Restore the most important first"}
_AXES = {"erase": "pixels erased", "restore": "pixels restored"}


@dataclass(frozen=True)
class Curve:
    """The performance under one order of the pixels.

    Attributes:
        name: The order's name: a method, or a control.
        erase: Performance per step while erasing (step,).
        restore: Performance per step while restoring (step,).
        erase_interval: Lower and upper bound per step (2, step), or None.
        restore_interval: Lower and upper bound per step (2, step), or None.
        control: Whether the order came from no explanation.
        line: Number of its color and dash among those of its kind; None takes the place in the figure. With numbers a
            method looks the same in all figures.
    """

    name: str
    erase: NDArray[np.float64]
    restore: NDArray[np.float64]
    erase_interval: NDArray[np.float64] | None = None
    restore_interval: NDArray[np.float64] | None = None
    control: bool = False
    line: int | None = None

    def values(self, part: Part) -> NDArray[np.float64]:
        return self.erase if part == "erase" else self.restore

    def interval(self, part: Part) -> NDArray[np.float64] | None:
        return self.erase_interval if part == "erase" else self.restore_interval


def curve_figure(
    fractions: ArrayLike,
    curves: Sequence[Curve],
    *,
    metric: str,
    title: str = "",
    parts: Sequence[Part] = ("erase", "restore"),
    legend: bool = True,
    panel: tuple[float, float] = (3.9, 2.75),
    theme: Theme = LIGHT,
) -> Figure:
    """Draw erase and restore curves side by side on one scale, methods in color and controls in gray.

    Args:
        fractions: Fraction of the pixels erased or restored at every step (step,), in [0, 1].
        curves: The curves; bands show their intervals.
        metric: What the vertical axis measures.
        title: Title of the figure.
        parts: The panels from left to right.
        legend: Whether the names stand below the panels.
        panel: Width and height of one panel in inches.
        theme: Colors of the page that the figure stands on.

    Returns:
        A figure that belongs to no window; panels without a finite value say so.

    Raises:
        InputError: If a curve's length differs from that of ``fractions``.

    Example:
        >>> import numpy as np
        >>> steps = np.linspace(0, 1, 3)
        >>> figure = curve_figure(steps, [Curve("gradient", 1 - steps, steps)], metric="accuracy")
        >>> len(figure.axes)
        2
    """
    steps = np.asarray(fractions, np.float64)
    for curve in curves:
        for part in parts:
            if curve.values(part).shape != steps.shape:
                came = f"{curve.values(part).shape} values for {steps.shape} fractions"
                raise InputError(f"curve_figure: {curve.name!r} ({part}) has {came}; pass one value per fraction.")
    columns = 3
    names = [drawable(curve.name, 34) for curve in curves]
    foot = 0.25 + 0.2 * -(-len(names) // columns) if legend and names else 0.0
    head = 0.45 if title else 0.0
    width, height = panel[0] * len(parts), panel[1] + head + foot
    figure = Figure(figsize=(width, height), facecolor=theme.surface)
    if title:
        room = int(width * 72 / (11 * 0.66))
        place = (0.14 / width, 1 - 0.12 / height)
        style: Any = {"color": theme.ink, "weight": "bold", "va": "top", "fontsize": 11}
        figure.text(*place, drawable(title, room), parse_math=False, **style)
    low, high = _limits(curves, parts)
    for column, part in enumerate(parts):
        left, bottom = panel[0] * column + 0.62, foot + 0.5
        axes = figure.add_axes((left / width, bottom / height, (panel[0] - 0.85) / width, (panel[1] - 0.8) / height))
        _draw_panel(axes, steps, curves, part, theme)
        axes.set_ylim(low, high)
        axes.set_ylabel(drawable(metric, 30) if column == 0 else "", fontsize=8.5, color=theme.muted)
    if legend and names:
        lines = figure.axes[0].get_lines()[-len(names) :]
        shown = figure.legend(lines, names, loc="lower left", bbox_to_anchor=(0.5 / width, 0.02), ncols=columns)
        shown.set_frame_on(False)
        for text in shown.get_texts():
            text.set_parse_math(False)
            text.set_fontsize(8)
            text.set_color(theme.ink)
    return figure


def line_numbers(curves: Sequence[Curve]) -> list[int]:
    """Return the number of every curve's color and dash: its own, or its place among the curves of its kind."""
    seen = {True: 0, False: 0}
    numbers = []
    for curve in curves:
        numbers.append(seen[curve.control] if curve.line is None else curve.line)
        seen[curve.control] += 1
    return numbers


def _limits(curves: Sequence[Curve], parts: Sequence[Part]) -> tuple[float, float]:
    values = [curve.values(part) for curve in curves for part in parts]
    values += [band for curve in curves for part in parts if (band := curve.interval(part)) is not None]
    finite = np.concatenate([np.ravel(value)[np.isfinite(np.ravel(value))] for value in values] or [np.zeros(0)])
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = max(0.05 * (high - low), 0.01)
    return low - room, high + room


def _draw_panel(axes: Axes, steps: NDArray[np.float64], curves: Sequence[Curve], part: Part, theme: Theme) -> None:
    axes.set_facecolor("none")
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.muted)
    axes.tick_params(colors=theme.muted, labelsize=8, length=0)
    axes.set_title(_TITLES[part], fontsize=9, color=theme.ink, loc="left", pad=6)
    axes.set_xlabel(_AXES[part], fontsize=8.5, color=theme.muted)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlim(0.0, 1.0)
    if not any(np.isfinite(curve.values(part)).any() for curve in curves):
        axes.text(0.5, 0.5, "not defined", transform=axes.transAxes, ha="center", color=theme.muted, fontsize=9)
    for curve, number in zip(curves, line_numbers(curves), strict=True):
        color, dashes = line_style(theme, number, curve.control)
        band, order = curve.interval(part), 2 if curve.control else 3
        if band is not None:
            axes.fill_between(steps, band[0], band[1], color=color, alpha=0.16, linewidth=0, zorder=order - 1)
        width = 1.4 if curve.control else 1.9
        style = (0, dashes) if dashes else "-"
        axes.plot(steps, curve.values(part), color=color, linewidth=width, linestyle=style, zorder=order, clip_on=False)
