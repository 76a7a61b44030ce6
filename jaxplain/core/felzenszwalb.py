"""Felzenszwalb's segmentation of an image, by scikit-image: at several scales it is what XRAI chooses from."""

from collections.abc import Sequence

import numpy as np

from jaxplain._errors import InputError
from jaxplain.core.segmenters import numbered, scikit_image

SCALES = (50.0, 100.0, 150.0, 250.0, 500.0, 1200.0)
"""Those of XRAI's authors, for images of 224 x 224 pixels."""


def felzenszwalb(image: np.ndarray, *, scale: float = 100.0, sigma: float = 0.5, min_size: int = 50) -> np.ndarray:
    """Segment an image at one scale; the defaults are those of scikit-image's gallery.

    Args:
        image, sigma, min_size: As in ``felzenszwalb_scales``.
        scale: Preference for larger segments.

    Returns:
        Integers 0 to n - 1 of shape ``(height, width)``.

    Raises:
        InputError: scikit-image is not installed, or the image has another number of axes.
    """
    found: np.ndarray = felzenszwalb_scales(image, scales=(scale,), sigma=sigma, min_size=min_size)[0]
    return found


def felzenszwalb_scales(
    image: np.ndarray, *, scales: Sequence[float] = SCALES, sigma: float = 0.8, min_size: int = 150
) -> np.ndarray:
    """Segment an image once per scale; pixels are first stretched to the range from -1 to 1.

    The defaults are those of XRAI's authors, who resize images to 224 x 224 pixels first; other sizes need other
    scales and another ``min_size``.

    Args:
        image: ``(height, width, channels)``.
        scales: Preferences for larger segments.
        sigma: Blur before segmentation, in pixels.
        min_size: Fewest pixels of a segment.

    Returns:
        Integers ``(scale, height, width)``, each map from 0 to its own n - 1.

    Raises:
        InputError: scikit-image is not installed, or the image has another number of axes.

    References:
        Felzenszwalb and Huttenlocher 2004, Efficient graph-based image segmentation,
        doi:10.1023/B:VISI.0000022288.19776.77. Kapishnikov et al. 2019, arXiv:1906.02825.
    """
    pixels = np.asarray(image, np.float64)
    if pixels.ndim != 3 or not np.isfinite(pixels).all():
        raise InputError(
            f"felzenszwalb_scales: an image of shape {pixels.shape} must be (height, width, channels) with finite "
            "pixels."
        )
    segment = scikit_image("felzenszwalb_scales").felzenszwalb
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / (high - low if high > low else 1.0) * 2 - 1
    return np.stack(
        [numbered(segment(pixels, scale=scale, sigma=sigma, min_size=min_size, channel_axis=-1)) for scale in scales]
    )
