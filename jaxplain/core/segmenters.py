"""Superpixels: segment maps that follow an image's own edges, by scikit-image (the extra "scikit-image").

A regular grid needs nothing of that: ``jaxplain.core.segments.grid_segments``. Maps are numbered 0 to n - 1, as methods
take them. How many superpixels come out differs from image to image; a ``Segmenter`` states the largest number that
there may be, since it decides the program, and cuts each image when its turn comes.

The image is scaled to 0 ... 1 by its smallest and largest value first, so that the settings mean the same for pixels of
any range. Both functions are deterministic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxplain._errors import InputError
from jaxplain.core.regions import Segmentations
from jaxplain.core.segments import Segments, segments_per_image


@dataclass(frozen=True)
class Segmenter:
    """How each image is cut, in the place of ``segments=`` or ``segmentations=``.

    Images with pixels that are not finite, which no method explains, are left in one piece.

    Args:
        cut: One image ``(*in)`` to integers from 0 on without gaps, of its shape without the channels; such as
            ``functools.partial(slic, n_segments=50)``.
        n: Most segments of an image; it decides the program. Those that an image lacks change nothing.
        maps: How many maps ``cut`` returns, one after the other along a first axis; None for one map without it.
    """

    cut: Callable[[np.ndarray], np.ndarray]
    n: int
    maps: int | None = None

    def of(self, where: str, numbers: np.ndarray, images: Any) -> Segments | Segmentations:
        """Cut images.

        Args:
            where: Who asks, for messages.
            numbers: The images' numbers; of images with one number only the first is looked at.
            images: ``(batch, *in)``.

        Raises:
            InputError: An image has more than n segments, or what was cut is no map of it.
        """
        pixels, shape = np.asarray(images), self._shape(np.shape(images)[1:])
        found: dict[int, np.ndarray] = {}
        for number, image in zip(numbers.tolist(), pixels, strict=True):
            if number not in found:
                found[number] = self._map(f"{where} of image {number}", image, shape)
        return self._kind(np.stack([found[number] for number in numbers.tolist()]), self.n)

    def blank(self, batch: int, shape: tuple[int, ...]) -> Segments | Segmentations:
        """Return shape and dtype of what ``of`` gives for a batch of examples of this shape."""
        return self._kind(jax.ShapeDtypeStruct((batch, *self._shape(shape)), np.int32), self.n)

    @property
    def _kind(self) -> Any:
        return Segments if self.maps is None else Segmentations

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[:-1] if self.maps is None else (self.maps, *shape[:-1])

    def _map(self, where: str, image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if not np.isfinite(image).all():
            return np.zeros(shape, np.int32)
        labels = np.asarray(self.cut(image))
        if labels.shape != shape:
            raise InputError(f"{where}: the segmenter gave shape {labels.shape} instead of {shape}; mend it.")
        found = segments_per_image(where, labels.reshape(-1, *image.shape[:-1]), image.shape)
        if found.n > self.n:
            raise InputError(
                f"{where}: it is cut into {found.n} segments, more than the {self.n} that were said to be the most; "
                "allow more, or ask for fewer and larger ones."
            )
        return labels.astype(np.int32)


def slic(image: Any, *, n_segments: int = 100, compactness: float = 10.0, sigma: float = 0.0) -> np.ndarray:
    """Cut an image into superpixels by k-means in color and place.

    Args:
        image: ``(*space, channels)`` with two or three axes of space; three channels are taken for RGB.
        n_segments: About how many superpixels; the defaults are those of DIANNA 1.7.
        compactness: Weight of place beside color; a large one makes squares. Colors of RGB images are taken in CIELAB,
            0 to 100; other channels stay within 0 to 1, where about 0.1 does what 10 does there.
        sigma: Standard deviation of the blur before, in pixels.

    Returns:
        Integers 0 to n - 1 of shape ``(*space)``.

    Raises:
        InputError: scikit-image is not installed, or the image has another number of axes.

    References:
        Achanta, Shaji, Smith, Lucchi, Fua and Süsstrunk 2012, SLIC superpixels, doi:10.1109/TPAMI.2012.120.
    """
    pixels = _scaled("slic", image, (3, 4))
    of_color = pixels.ndim == 3 and pixels.shape[-1] == 3
    found = scikit_image("slic").slic(
        pixels, n_segments=n_segments, compactness=compactness, sigma=sigma, convert2lab=of_color, channel_axis=-1
    )
    return numbered(found)


def quickshift(image: Any, *, kernel_size: float = 4.0, max_dist: float = 200.0, ratio: float = 0.2) -> np.ndarray:
    """Cut an image into superpixels by a search for modes in color and place, as LIME does by default.

    Args:
        image: ``(height, width, channels)``; three channels are taken for RGB. One channel is repeated to three, as
            LIME does.
        kernel_size: Width of the density's kernel; the defaults are LIME's.
        max_dist: Longest link between pixels of one superpixel.
        ratio: Weight of color beside place, from 0 to 1.

    Returns:
        Integers 0 to n - 1 of shape ``(height, width)``.

    Raises:
        InputError: scikit-image is not installed, or the image has another number of axes.

    References:
        Vedaldi and Soatto 2008, Quick shift and kernel methods for mode seeking, doi:10.1007/978-3-540-88693-8_52.
    """
    pixels = _scaled("quickshift", image, (3,))
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    found = scikit_image("quickshift").quickshift(
        pixels, kernel_size=kernel_size, max_dist=max_dist, ratio=ratio, convert2lab=pixels.shape[-1] == 3
    )
    return numbered(found)


def numbered(labels: np.ndarray) -> np.ndarray:
    """Number the labels of a map anew, 0 to n - 1 without gaps, in the order of the old numbers.

    Example:
        >>> numbered(np.array([[4, 4], [1, 9]])).tolist()
        [[1, 1], [0, 2]]
    """
    _, found = np.unique(labels, return_inverse=True)
    return found.reshape(labels.shape)


def scikit_image(where: str) -> Any:
    """Return ``skimage.segmentation``.

    Raises:
        InputError: It is not installed.
    """
    try:
        import skimage.segmentation as found
    except ImportError as error:
        raise InputError(
            f"{where}: scikit-image is not installed; install jaxplain[scikit-image], or cut a regular grid with "
            "jaxplain.core.segments.grid_segments."
        ) from error
    return found


def _scaled(where: str, image: Any, axes: tuple[int, ...]) -> np.ndarray:
    pixels = np.asarray(image, np.float64)
    if pixels.ndim not in axes or not np.isfinite(pixels).all():
        raise InputError(
            f"{where}: an image of shape {pixels.shape} must have {' or '.join(map(str, axes))} axes, the channels "
            "last, and finite pixels."
        )
    low, high = pixels.min(), pixels.max()
    return (pixels - low) / (high - low) if high > low else np.zeros_like(pixels)
