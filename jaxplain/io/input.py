"""From stored pixels to what the model sees: orientation, mode, resize, crop, scaling; always float32 (H, W, C).

The steps run in the order of the fields of `Input`. Maps refer to the pixels after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from jaxplain._errors import InputError, unknown

ORIENTATIONS = ("exif", "none")
MODES = ("RGB", "L", "RGBA", "F")
LAYOUTS = ("HWC", "CHW", "HW", "any")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Input:
    """How stored pixels become the model's input.

    Args:
        orientation: ``"exif"`` turns image files upright as their EXIF tag says; ``"none"`` leaves them.
        mode: Mode of image files: ``"RGB"``, ``"L"``, ``"RGBA"``, or ``"F"`` for 16-bit and float pixels as they are.
        resize: ``(height, width)``, or one number for the shorter side (the longer one follows, rounded down, as in
            torchvision); filtered with antialiasing. Default none.
        interpolation: Filter of ``resize``.
        crop: ``(height, width)`` cut from the center, or one number for a square. Default none.
        layout: Axes of one example of an array source: ``"HWC"``, ``"CHW"``, ``"HW"``, or ``"any"`` to leave arrays
            of another kind (signals, volumes) alone. Default by rank: two axes HW, three HWC, else any.
        divisor: Number that pixels are divided by, such as 255. Integer pixels need it; there is no default for them.
        mean: Subtracted after the division, one number or one per channel.
        std: Divided by at last, one number or one per channel.

    Example:
        >>> Input(divisor=255).from_array(np.full((2, 2, 1), 51, np.uint8)).max().item()
        0.20000000298023224
    """

    orientation: str = "exif"
    mode: str = "RGB"
    resize: tuple[int, int] | int | None = None
    interpolation: str = "bilinear"
    crop: tuple[int, int] | int | None = None
    layout: str | None = None
    divisor: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, options in (("orientation", ORIENTATIONS), ("mode", MODES), ("interpolation", FILTERS)):
            if getattr(self, name) not in options:
                raise unknown(f"input.{name}", "word", str(getattr(self, name)), options)
        if self.layout is not None and self.layout not in LAYOUTS:
            raise unknown("input.layout", "word", str(self.layout), LAYOUTS)
        object.__setattr__(self, "resize", _size("resize", self.resize))
        object.__setattr__(self, "crop", _size("crop", self.crop))
        object.__setattr__(self, "mean", _numbers("mean", self.mean))
        object.__setattr__(self, "std", _numbers("std", self.std))
        if self.divisor is not None:
            object.__setattr__(self, "divisor", _numbers("divisor", self.divisor)[0])
        if self.divisor == 0 or any(value <= 0 for value in self.std):
            raise InputError("input: divisor must not be 0 and std must be positive; check both.")

    def from_pil(self, image: Image.Image) -> np.ndarray:
        """Turn an opened image file into float32 (H, W, C).

        Raises:
            InputError: The mode would cut the image's values, or the crop exceeds it.
        """
        if self.orientation == "exif":
            image = ImageOps.exif_transpose(image)
        deep = image.mode == "F" or image.mode.startswith("I")
        if deep and self.mode != "F":
            raise InputError(
                f"input.mode: {self.mode!r} would cut pixels of more than 8 bits ({image.mode}); "
                "use mode 'F' and a divisor."
            )
        whole = image.mode != "F"
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        if image.mode != self.mode:
            image = image.convert(self.mode)
        height, width = _target(self.resize, image.height, image.width)
        if (height, width) != (image.height, image.width):
            image = image.resize((width, height), FILTERS[self.interpolation])
        pixels = np.asarray(image)
        return self._scaled(self._cropped(pixels[..., None] if pixels.ndim == 2 else pixels), "an image file", whole)

    def from_array(self, array: Any) -> np.ndarray:
        """Turn one example of an array source into float32 (H, W, C) (any shape for layout ``"any"``)."""
        return self.from_arrays(np.asarray(array)[None])[0]

    def from_arrays(self, batch: np.ndarray) -> np.ndarray:
        """Turn examples (B, ...) of an array source into float32 (B, H, W, C)."""
        if batch.dtype.kind not in "biuf":
            raise InputError(f"input: pixels of dtype {batch.dtype} are no numbers; store integers or floats.")
        whole = batch.dtype.kind in "iu"
        layout = self.layout or {3: "HW", 4: "HWC"}.get(batch.ndim, "any")
        if layout == "any":
            if self.resize is not None or self.crop is not None:
                raise InputError(f"input: resize and crop need images, got examples of shape {batch.shape[1:]}.")
            return self._scaled(batch, "an array", whole)
        if batch.ndim != 1 + len(layout):
            raise InputError(
                f"input.layout: {layout!r} has {len(layout)} axes, an example has shape {batch.shape[1:]}; "
                "name the layout that fits."
            )
        batch = np.moveaxis(batch, 1, -1) if layout == "CHW" else batch[..., None] if layout == "HW" else batch
        height, width = _target(self.resize, *batch.shape[1:3])
        if (height, width) != batch.shape[1:3]:
            batch = np.stack([self._resized(one, height, width) for one in batch])
        return self._scaled(self._cropped(batch), "an array", whole)

    def _resized(self, one: np.ndarray, height: int, width: int) -> np.ndarray:
        # 8-bit planes are filtered in 8 bits: an array and an image file of the same pixels give the same input.
        kept = np.uint8 if one.dtype == np.uint8 else np.float32
        planes = [Image.fromarray(np.ascontiguousarray(plane, kept)) for plane in np.moveaxis(one, -1, 0)]
        how = FILTERS[self.interpolation]
        return np.stack([np.asarray(plane.resize((width, height), how)) for plane in planes], axis=-1)

    def _cropped(self, pixels: np.ndarray) -> np.ndarray:
        if self.crop is None:
            return pixels
        height, width = pixels.shape[-3:-1]
        rows, columns = self.crop if isinstance(self.crop, tuple) else (self.crop, self.crop)
        if rows > height or columns > width:
            raise InputError(f"input.crop: {(rows, columns)} exceeds the image {(height, width)}; crop less or resize.")
        top, left = round((height - rows) / 2), round((width - columns) / 2)  # half to even, as torchvision does
        return pixels[..., top : top + rows, left : left + columns, :]

    def _scaled(self, pixels: np.ndarray, what: str, whole: bool) -> np.ndarray:
        if self.divisor is None and whole:
            raise InputError(
                f"input.divisor: {what} holds integer pixels; say what divides them: 255 for 0 ... 1, 1 to keep them."
            )
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes Inf, which the status tells
            scaled = pixels.astype(np.float32)
        if self.divisor not in (None, 1.0):
            scaled /= np.float32(self.divisor)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) not in (1, scaled.shape[-1]):
                raise InputError(
                    f"input.{name}: {len(values)} numbers for {scaled.shape[-1]} channels; give one or one per channel."
                )
        if self.mean:
            scaled -= np.asarray(self.mean, np.float32)
        if self.std:
            scaled /= np.asarray(self.std, np.float32)
        return scaled


def _size(name: str, value: Any) -> tuple[int, int] | int | None:
    if value is None:
        return None
    whole = [value] if isinstance(value, int) else list(value) if isinstance(value, Sequence) else []
    if len(whole) not in (1, 2) or not all(type(n) is int and n >= 1 for n in whole):
        raise InputError(f"input.{name}: expected (height, width) or one number, all positive, got {value!r}.")
    return (whole[0], whole[1]) if len(whole) == 2 else whole[0]


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = tuple(float(n) for n in (value if isinstance(value, Sequence | np.ndarray) else (value,)))
    except (TypeError, ValueError):
        numbers = (float("nan"),)
    if not all(np.isfinite(numbers)):
        raise InputError(f"input.{name}: expected a finite number or one per channel, got {value!r}.")
    return numbers


def _target(resize: tuple[int, int] | int | None, height: int, width: int) -> tuple[int, int]:
    if resize is None:
        return height, width
    if isinstance(resize, tuple):
        return resize
    if height <= width:
        return resize, int(width * resize / height)
    return int(height * resize / width), resize
