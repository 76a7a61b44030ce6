"""Names that others chose, made fit for a figure, a page or a file name.

Class names, file names and reasons may hold markup, line breaks, control and direction marks or bytes that are no
text. Here they become one visible line; nothing is interpreted, neither as HTML nor as mathematics.
"""

import html
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager

_DIRECTION = {chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_HIDDEN = {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}


def readable(text: object, limit: int = 120) -> str:
    r"""Return the text as one visible line of at most ``limit`` characters.

    Control characters, lone surrogates and direction marks are written as escapes; what is too long loses its middle.

    Example:
        >>> readable("a\nb")
        'a\\nb'
    """
    line = "".join(_visible(character) for character in str(text))
    if len(line) <= limit:
        return line
    head = (limit - 1) * 2 // 3
    return f"{line[:head]}…{line[len(line) - (limit - 1 - head) :]}"


def escaped(text: object, limit: int = 120) -> str:
    """Return the text as one line that is safe inside HTML, in content and in quoted attributes."""
    return html.escape(readable(text, limit), quote=True)


def drawable(text: object, limit: int = 48) -> str:
    """Return the text as one line that the figures' font can draw; other characters become ``□``."""
    glyphs = _glyphs()
    return "".join(character if ord(character) in glyphs else "□" for character in readable(text, limit))


def slug(text: object) -> str:
    """Return a part of a file name: ASCII letters, digits, ``-`` and ``_``, never empty, at most 40 characters.

    Example:
        >>> slug("../T-shirt/top")
        'T-shirt-top'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", str(text)).strip("-")[:40] or "unnamed"


def number(value: float, digits: int = 3) -> str:
    """Return a figure with a true minus sign, or a dash where it is not defined."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    written = f"{value:.{digits}f}"
    return (written.lstrip("-") if float(written) == 0 else written).replace("-", "\N{MINUS SIGN}")


def short_number(value: float) -> str:
    """Return a figure of any size with three significant digits, for the ends of a color bar."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


@contextmanager
def unwarned_glyphs() -> Iterator[None]:
    """Silence the font's remark on a character that it lacks; the character has been replaced where that matters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _visible(character: str) -> str:
    if character in _DIRECTION or unicodedata.category(character) in _HIDDEN:
        return character.encode("unicode_escape").decode("ascii")
    return character


@cache
def _glyphs() -> frozenset[int]:
    path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans"))
    return frozenset(font_manager.get_font(path).get_charmap())
