"""Colors of ink, surfaces and lines on a light and on a dark page.

Figures never change matplotlib's global settings: every color and size is passed to the artist that uses it.
Lines differ in color and in dash, so that ten of them can be told apart, also in print and by color-blind readers.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """The colors of one kind of page."""

    name: str
    surface: str
    ink: str
    muted: str
    grid: str
    empty: str
    lines: tuple[str, ...]
    controls: tuple[str, ...]


LIGHT = Theme(
    name="light",
    surface="#ffffff",
    ink="#1b1b19",
    muted="#63625d",
    grid="#e4e3de",
    empty="#f0efeb",
    lines=("#2a78d6", "#d95f1e", "#12875f", "#b8338a", "#4a3aa7", "#9a6a00", "#d03b3b", "#00788a"),
    controls=("#8a8984", "#55544f", "#a39a86"),
)
DARK = Theme(
    name="dark",
    surface="#1b1b1a",
    ink="#f0efea",
    muted="#a9a8a1",
    grid="#383835",
    empty="#2a2a28",
    lines=("#5aa2f2", "#f08a4b", "#3fc08f", "#ec78bd", "#a79bf5", "#dfae3c", "#f27676", "#3dbccd"),
    controls=("#8f8e88", "#c6c5be", "#8c8473"),
)

DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (6, 1.6, 1.2, 1.6))
"""Dash patterns in line widths: the lines after the last color take the next pattern."""


def line_style(theme: Theme, position: int, control: bool) -> tuple[str, tuple[float, ...]]:
    """Return the color and the dash pattern of the line at this position among its kind."""
    colors = theme.controls if control else theme.lines
    turn, step = divmod(position, len(colors))
    pattern = step + 1 + turn if control else turn
    return colors[step], DASHES[pattern % len(DASHES)]
