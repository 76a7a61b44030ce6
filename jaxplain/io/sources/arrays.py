"""Images in an array: in memory, memory-mapped, inside a file, or anything with a shape, a dtype and rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io import status as codes
from jaxplain.io.input import Input
from jaxplain.io.labels import Labels, check_labels
from jaxplain.io.sources.base import Rows, checked_rows, digest, label_rows
from jaxplain.io.sources.rowfile import unmapped

_HASH_ALL = 256 * 2**20
_HASH_ROWS = 4096


class ArraySource:
    """A source over one array of images; the id of an image is its row number."""

    def __init__(self, images: Any, labels: Labels | None, how: Input, where: str):
        self._images, self._how, self._where = unmapped(images), how, where
        self.labels = None if labels is None else labels.values
        self.class_names = None if labels is None else labels.names
        self.ids = np.arange(len(images), dtype=np.uint64)
        self.names: Sequence[str] | None = None
        self.reasons: dict[int, str] = {}
        try:
            self.shape = how.from_arrays(self._pixels(np.zeros(1, np.int64))).shape[1:]
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        self._fingerprint: str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fingerprint(self) -> str:
        """Hash over all bytes up to 256 MB, beyond that over 4096 rows spread evenly; and over the labels."""
        if self._fingerprint is None:
            n, one = len(self), self._pixels(np.zeros(1, np.int64))
            size = n * one.nbytes
            picked = (
                np.arange(n) if size <= _HASH_ALL else np.unique(np.linspace(0, n - 1, _HASH_ROWS).astype(np.int64))
            )
            step = max(1, 2**24 // max(1, one.nbytes))
            blocks = [digest(self._pixels(picked[i : i + step])) for i in range(0, len(picked), step)]
            labels = b"" if self.labels is None else self.labels
            self._fingerprint = digest((n, *one.shape[1:]), one.dtype.str, *blocks, labels)
        return self._fingerprint

    def read(self, rows: Sequence[int] | np.ndarray) -> Rows:
        """Read rows; an image with NaN or Inf has status `BAD_PIXELS` and arrives as zeros."""
        picked = checked_rows(rows, len(self))
        image = self._how.from_arrays(self._pixels(picked)) if len(picked) else np.zeros((0, *self.shape), np.float32)
        status = np.zeros(len(picked), np.uint8)
        bad = ~np.isfinite(image).all(axis=tuple(range(1, image.ndim)))
        if bad.any():
            image[bad] = 0
            status[bad] = codes.BAD_PIXELS
            self.reasons.update({int(row): codes.REASONS[codes.BAD_PIXELS] for row in picked[bad]})
        return Rows(image, label_rows(self.labels, picked), self.ids[picked], status)

    def close(self) -> None:
        """Close the file behind the images, if there is one."""
        close = getattr(self._images, "close", None)
        if close is not None:
            close()

    def _pixels(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._images[rows])  # type: ignore[index]


def array_source(
    images: Any,
    labels: Any = None,
    *,
    input: Input | None = None,
    names: Sequence[str] | None = None,
    where: str = "images",
) -> ArraySource:
    """Make a source of an array.

    Args:
        images: Array (N, ...) of numbers, or anything with ``shape``, ``dtype`` and indexing by an array of rows.
        labels: Whole numbers (N,), -1 for unlabeled, or 0/1 (N, L); None for none.
        input: What is done to the pixels; default nothing but float32.
        names: Class names.
        where: Name of the array for messages.

    Raises:
        InputError: No images, no numbers, or labels that do not fit.

    Example:
        >>> array_source(np.zeros((5, 4, 4, 1)), [0, 1, 0, 1, 0]).read([4]).image.shape
        (1, 4, 4, 1)
    """
    if not hasattr(images, "shape") or not hasattr(images, "dtype"):
        images = np.asarray(images)
    if images.dtype.kind not in "biuf":
        raise InputError(f"{where}: expected numbers, got dtype {images.dtype}; store integers or floats.")
    if len(images.shape) < 2:
        raise InputError(f"{where}: expected images as (N, ...), got shape {tuple(images.shape)}.")
    if min(images.shape) < 1:
        raise InputError(f"{where}: no images, the shape is {tuple(images.shape)}; check the source.")
    if labels is not None and not isinstance(labels, Labels):
        labels = check_labels(labels, images.shape[0], names, f"labels of {where}")
    return ArraySource(images, labels, input if input is not None else Input(), where)
