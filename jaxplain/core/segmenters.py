"""Superpixels: segment maps that follow an image's own edges, by scikit-image (the extra "scikit-image").

A regular grid needs nothing of that: ``jaxplain.core.segments.grid_segments``. Maps are numbered 0 to n - 1, as methods
take them. How many superpixels come out differs from image to image, so images that are explained together need maps of
one number each, or one shared map.

The image is scaled to 0 ... 1 by its smallest and largest value first, so that the settings mean the same for pixels of
any range. Both functions are deterministic.
"""

from typing import Any

import numpy as np

from jaxplain._errors import InputError


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
