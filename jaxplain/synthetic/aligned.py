"""An aligned set with planted truth: a pixel means the same place in every image, each label lights up a disc.

The background is Gaussian noise of unit variance, white or averaged over 3 neighbors along both axes (wrapping); a
label that is on adds a constant inside its disc. With a correlated background a linear model also weights pixels
around a disc, to suppress the noise that it shares with the disc: a map that shows them is faithful and yet not
confined to the disc. So the curves of erasing and restoring, not the overlap with the disc, test a global map there.

Images are drawn in blocks, each seeded by (seed, block): image i is the same however many images are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from jaxplain._errors import InputError, unknown

Background = Literal["correlated", "white"]
BLOCK = 1024


@dataclass(frozen=True)
class Artefact:
    """A mark that has nothing to do with the label's disc and yet comes with the label.

    Args:
        label: Label that it comes with.
        corner: First row and column of the mark.
        size: Height and width in pixels.
        strength: Added inside the mark.
        agreement: Probability that the mark is there exactly when the label is on; 0.5 makes it uninformative.
    """

    label: int
    corner: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (2, 2)
    strength: float = 1.0
    agreement: float = 1.0


@dataclass(frozen=True, eq=False)
class Aligned:
    """A generated set.

    Args:
        images: ``(n, height, width, 1)`` float32.
        labels: ``(n, labels)`` uint8 of 0 and 1.
        masks: ``(labels, height, width)`` booleans, the planted discs.
        artefact: ``(height, width)`` booleans, the artefact's mark; all false without one.
        names: A name per label.
        outliers: Rows of the corrupted images.
    """

    images: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    artefact: np.ndarray
    names: tuple[str, ...]
    outliers: np.ndarray


def aligned(
    n: int = 3000,
    *,
    seed: int,
    shape: tuple[int, int] = (24, 24),
    prevalence: Sequence[float] = (0.3, 0.1, 0.03),
    centers: Sequence[tuple[int, int]] = ((6, 6), (12, 17), (18, 7)),
    radius: float = 2.0,
    strength: float = 0.55,
    background: Background = "correlated",
    artefact: Artefact | None = None,
    n_outliers: int = 0,
    outlier_value: float = 200.0,
) -> Aligned:
    """Generate an aligned multi-label set in which each label lights up one disc.

    Args:
        n: Number of images.
        seed: Non-negative integer; other seeds give other images of the same kind, so one trains and one tests.
        shape: Height and width.
        prevalence: Probability of each label, independent of the others.
        centers: Row and column of each label's disc.
        radius: Of the discs, in pixels: those within it of the center belong; 2 gives 13 pixels.
        strength: Added inside a disc, in standard deviations of the background.
        background: "correlated" or "white".
        artefact: An informative mark that is no disc.
        n_outliers: Number of corrupted images: the first that carry the rarest label, where they do most harm.
        outlier_value: Added to every pixel of a corrupted image.

    Returns:
        Images, labels and the truth.

    Raises:
        InputError: If numbers of labels differ, a disc leaves the image, or a probability lies outside 0 to 1.

    Example:
        >>> made = aligned(100, seed=0)
        >>> made.images.shape, made.labels.shape, made.masks.sum(axis=(1, 2)).tolist()
        ((100, 24, 24, 1), (100, 3), [13, 13, 13])
    """
    _check(n, shape, prevalence, centers, radius, background, artefact)
    masks = np.stack([_disc(shape, center, radius) for center in centers])
    mark = np.zeros(shape, bool)
    if artefact is not None:
        (top, left), (height, width) = artefact.corner, artefact.size
        mark[top : top + height, left : left + width] = True
    images, labels = np.empty((n, *shape), np.float32), np.empty((n, len(centers)), np.uint8)
    for start in range(0, n, BLOCK):
        rng = np.random.default_rng([seed, start // BLOCK])
        noise, on = _noise(rng, shape, background), rng.random((BLOCK, len(centers))) < np.asarray(prevalence)
        block = noise + strength * np.einsum("nl,lhw->nhw", on.astype(np.float64), masks.astype(np.float64))
        if artefact is not None:
            shown = on[:, artefact.label] ^ (rng.random(BLOCK) >= artefact.agreement)
            block += artefact.strength * shown[:, None, None] * mark
        images[start : start + BLOCK] = block[: n - start]
        labels[start : start + BLOCK] = on[: n - start]
    outliers = np.flatnonzero(labels[:, int(np.argmin(prevalence))])[:n_outliers]
    images[outliers] += np.float32(outlier_value)
    names = tuple(f"disc {label}" for label in range(len(centers)))
    return Aligned(images[..., None], labels, masks, mark, names, outliers)


def _noise(rng: np.random.Generator, shape: tuple[int, int], background: Background) -> np.ndarray:
    """Return one block of backgrounds of unit variance."""
    white = rng.standard_normal((BLOCK, *shape))
    if background == "white":
        return white
    for axis in (1, 2):
        # The mean of 3 independent values has a third of their variance.
        white = (np.roll(white, 1, axis) + white + np.roll(white, -1, axis)) / np.sqrt(3.0)
    return white


def _disc(shape: tuple[int, int], center: tuple[int, int], radius: float) -> np.ndarray:
    row, column = np.ogrid[: shape[0], : shape[1]]
    return (row - center[0]) ** 2 + (column - center[1]) ** 2 <= radius**2


def _check(
    n: int,
    shape: tuple[int, int],
    prevalence: Sequence[float],
    centers: Sequence[tuple[int, int]],
    radius: float,
    background: Background,
    artefact: Artefact | None,
) -> None:
    if background not in get_args(Background):
        raise unknown("aligned", "background", background, get_args(Background))
    if n < 1 or len(prevalence) != len(centers) or not centers:
        raise InputError(
            f"aligned: {n} images, {len(prevalence)} prevalences, {len(centers)} centers; pass one of each per label."
        )
    if not all(0 <= p <= 1 for p in prevalence):
        raise InputError(f"aligned: prevalence {tuple(prevalence)} must lie between 0 and 1.")
    for center in centers:
        if any(c - radius < 0 or c + radius > size - 1 for c, size in zip(center, shape, strict=True)):
            raise InputError(
                f"aligned: the disc at {center} with radius {radius} leaves the image {shape}; move it inside."
            )
    if artefact is None:
        return
    if not (0 <= artefact.label < len(centers) and 0 <= artefact.agreement <= 1):
        raise InputError(
            f"aligned: {artefact} names label {artefact.label} of {len(centers)}, agreement within 0 to 1."
        )
    if any(c < 0 or c + s > size for c, s, size in zip(artefact.corner, artefact.size, shape, strict=True)):
        raise InputError(f"aligned: the mark at {artefact.corner} of size {artefact.size} leaves the image {shape}.")
