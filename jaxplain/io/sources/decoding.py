"""One image file to pixels: the size is judged from the header, and whatever is wrong with the file is a reason."""

import io

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from jaxplain._errors import InputError
from jaxplain.io.input import Input

MAX_PIXELS = 64_000_000
"""Larger images are refused before they are decoded."""
MAX_FILE = 2**30
"""Larger files are refused before they are read."""
FORMATS = (
    BmpImagePlugin.BmpImageFile.format,
    GifImagePlugin.GifImageFile.format,
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    PpmImagePlugin.PpmImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
)
"""Nothing else is tried, whatever a file says it is: some decoders of Pillow start other programs."""


class Unreadable(Exception):
    """The file is no image that can be used; the text says why."""


def decode_image(raw: bytes, how: Input) -> np.ndarray:
    """Decode the bytes of an image file to float32 (H, W, C); of several frames the first.

    Raises:
        Unreadable: Not an image, truncated, damaged or larger than `MAX_PIXELS`.
        InputError: The settings of the input do not fit this image.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Unreadable(f"{width} x {height} pixels, more than {MAX_PIXELS}")
            image.load()
            return how.from_pil(image)
    except (Unreadable, InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise Unreadable(f"no image of a known format ({', '.join(FORMATS)})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(f"more than {MAX_PIXELS} pixels") from error
    except Exception as error:  # a decoder fed with damaged bytes may raise nearly anything
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from error
