"""What happens to an image before a network of given weights sees it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from jaxplain._errors import InputError, InputTypeError
from jaxplain.io.input import Input

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Of the red, green and blue values, in 0 ... 1, of ImageNet's training images."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviations beside `IMAGENET_MEAN`."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop and normalize: ``(pixel / 255 - mean) / std``.

    The steps are those of a job's ``[input]`` (`jaxplain.io.input.Input`): the shorter side is resized to ``resize``,
    the longer one in proportion and rounded down; the crop is centered, as torchvision does both.

    Attributes:
        resize: Length of the shorter side, or ``(height, width)``; None leaves the size.
        crop: Side of the square, or ``(height, width)``, cut from the center; None keeps all.
        interpolation: Filter of the resizing: ``"bilinear"``, ``"bicubic"`` ...
        antialias: Whether the filter widens as the image shrinks. Networks for videos were trained without; only
            ``"bilinear"`` knows that form.
        mean: Subtracted, one number per channel; empty for none.
        std: Divided by, one number per channel; empty for none.
        source: Where the numbers come from.

    Example:
        >>> how = Preprocessing(resize=256, crop=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        >>> how(Image.new("RGB", (400, 300), "white")).shape
        (224, 224, 3)
    """

    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    interpolation: str = "bilinear"
    antialias: bool = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        self._input()
        if not self.antialias and (self.interpolation != "bilinear" or not isinstance(self.resize, tuple | None)):
            raise InputError(
                "preprocessing: antialias=False needs interpolation='bilinear' and resize=(height, width), got "
                f"{self.interpolation!r} and {self.resize!r}."
            )

    def __call__(self, image: Image.Image | np.ndarray) -> np.ndarray:
        """Turn an image into what the network sees.

        Args:
            image: A PIL image, or 8-bit pixels ``(..., h, w, c)``; leading axes are frames, treated alike.

        Returns:
            ``(..., h, w, c)`` in float32.

        Raises:
            InputTypeError: Neither of the two. Values in 0 ... 1 that need no resizing go to `normalize`.
            InputError: The crop exceeds the image, or the channels do not fit.
        """
        if isinstance(image, Image.Image):
            if self.antialias:
                return self._input().from_pil(image)
            image = np.asarray(image.convert("RGB"))
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim < 3:
            got = f"{image.dtype}{list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise InputTypeError(
                f"preprocessing: expected a PIL image or a uint8 array (..., h, w, c), got {got}; "
                "pass values in 0 ... 1 to .normalize, and one array per call."
            )
        if not self.antialias and self.resize is not None:
            image = _bilinear(image, *self.resize)  # type: ignore[misc]
        frames = self._input().from_arrays(image.reshape(-1, *image.shape[-3:]))
        return frames.reshape(*image.shape[:-3], *frames.shape[1:])

    def normalize(self, values: Any) -> Any:
        """Return ``(values - mean) / std`` for values in 0 ... 1, channels last: a NumPy or JAX array as it came."""
        mean, std = self._numbers(values)
        return (values - mean) / std

    def denormalize(self, values: Any) -> Any:
        """Return ``values * std + mean``: what `normalize` took, for showing an image."""
        mean, std = self._numbers(values)
        return values * std + mean

    def lines(self) -> str:
        """Return the ``[input]`` section of a job file that says the same.

        Example:
            >>> print(Preprocessing(resize=256, crop=224, mean=(0.5,), std=(0.25,)).lines())
            [input]
            resize = 256
            crop = 224
            interpolation = "bilinear"
            divisor = 255
            mean = [0.5]
            std = [0.25]
        """
        how = self._input()
        lines: dict[str, Any] = {
            "resize": how.resize,
            "crop": how.crop,
            "interpolation": f'"{how.interpolation}"',
            "divisor": 255,
            "mean": how.mean or None,
            "std": how.std or None,
        }
        said = {key: list(value) if isinstance(value, tuple) else value for key, value in lines.items()}
        return "\n".join(["[input]", *(f"{key} = {value}" for key, value in said.items() if value is not None)])

    def _input(self) -> Input:
        resize = self.resize if self.antialias else None
        return Input(
            resize=resize, crop=self.crop, interpolation=self.interpolation, divisor=255, mean=self.mean, std=self.std
        )

    def _numbers(self, values: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and std with the rank and the dtype of the values, as strict promotion wants them."""
        shape = (1,) * (np.ndim(values) - 1) + (-1,)
        return tuple(  # type: ignore[return-value]
            np.asarray(numbers or (default,), values.dtype).reshape(shape)
            for numbers, default in ((self.mean, 0.0), (self.std, 1.0))
        )


def imagenet(resize: int, crop: int, interpolation: str, source: str) -> Preprocessing:
    """Return the preprocessing of a network trained on ImageNet's statistics."""
    return Preprocessing(resize, crop, interpolation, mean=IMAGENET_MEAN, std=IMAGENET_STD, source=source)


def _bilinear(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Interpolate 8-bit pixels between the four nearest ones, with pixel centers at halves, and round."""
    values = frames.astype(np.float32)
    for axis, size in ((-3, height), (-2, width)):
        length = values.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * (length / size) - 0.5, 0, length - 1)
        low = place.astype(int)
        weight = (place - low).astype(np.float32).reshape(-1, *[1] * (-1 - axis))
        high = np.minimum(low + 1, length - 1)
        values = values.take(low, axis) * (1 - weight) + values.take(high, axis) * weight
    return np.rint(values).astype(np.uint8)
