"""From figures and pictures to bytes and to addresses that carry their own content."""

import base64
import io
import re
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image as PillowImage

from jaxplain.plots.overlay import bounded
from jaxplain.plots.wording import unwarned_glyphs

_MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "svg": "image/svg+xml"}
_METADATA, _FAMILY = re.compile(rb"<metadata>.*?</metadata>", re.S), re.compile(rb"(font-family: |px )'[^\";]*")
_PATH, _DECIMALS = re.compile(rb' d="[^"]*"'), re.compile(rb"(\d\.\d\d)\d+")
PHOTO_SIDE = 96
"""Pictures with a longer side are stored as JPEG, which takes a tenth of the space for photographs."""


def png_bytes(figure: Figure, *, dpi: int = 150) -> bytes:
    """Draw a figure as PNG, without the date and the program's version, so that equal figures are equal files."""
    buffer = io.BytesIO()
    with unwarned_glyphs():
        figure.savefig(buffer, format="png", dpi=dpi, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return buffer.getvalue()


def svg_bytes(figure: Figure) -> bytes:
    """Draw a figure as SVG on a transparent ground, with letters in the reader's own sans serif and no links."""
    buffer = io.BytesIO()
    fixed: Any = {"svg.hashsalt": "jaxplain", "svg.fonttype": "none"}  # equal figures give equal files
    with matplotlib.rc_context(fixed), unwarned_glyphs():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = _METADATA.sub(b"", drawing[drawing.index(b"<svg") :])
    drawing = _FAMILY.sub(rb"\1system-ui, sans-serif", drawing)
    return _PATH.sub(lambda path: _DECIMALS.sub(rb"\1", path[0]).replace(b"\n", b""), drawing)


def picture_bytes(picture: NDArray[np.float64], *, longest: int | None = None, lossless: bool = False) -> bytes:
    """Encode a picture (H, W), (H, W, 3) in [0, 1]: small ones and flat colors as PNG, photographs as JPEG.

    Args:
        picture: Gray or color picture.
        longest: Largest side; a larger picture is shrunk by averaging.
        lossless: Always PNG, with a palette where 256 colors are enough.
    """
    picture = picture if longest is None else bounded(picture, longest)
    pixels = PillowImage.fromarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    buffer = io.BytesIO()
    if lossless or max(pixels.size) <= PHOTO_SIDE:
        palette = pixels.getcolors(256) if pixels.mode == "RGB" else None
        drawn = pixels.quantize(len(palette), dither=PillowImage.Dither.NONE) if palette else pixels
        drawn.save(buffer, "PNG", optimize=True)
    else:
        pixels.save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue()


def address(content: bytes, kind: Literal["png", "jpeg", "svg"] | None = None) -> str:
    """Return a ``data:`` address that holds the content itself; the kind is seen from the first bytes."""
    if kind is None:
        kind = "png" if content.startswith(b"\x89PNG") else "jpeg" if content.startswith(b"\xff\xd8") else "svg"
    return f"data:{_MEDIA[kind]};base64,{base64.b64encode(content).decode('ascii')}"
