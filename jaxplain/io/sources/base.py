"""What a source of images is: random access by row, with stable ids and a fingerprint of the whole."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jaxplain._errors import InputError


@dataclass(frozen=True)
class Rows:
    """A batch as it is read.

    Args:
        image: float32 (B, H, W, C); zeros where the status is not 0.
        label: int64 (B,) with -1 for unlabeled, or uint8 (B, L).
        id: uint64 (B,), stable names of the images.
        status: uint8 (B,), codes of `jaxplain.io.status`.
    """

    image: np.ndarray
    label: np.ndarray
    id: np.ndarray
    status: np.ndarray


class Source(Protocol):
    """Images by row. ``read`` may be called from several threads."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, (H, W, C) for images."""
        ...

    @property
    def labels(self) -> np.ndarray | None:
        """All labels, or None when the source has none."""
        ...

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where the source knows them."""
        ...

    @property
    def ids(self) -> np.ndarray:
        """uint64 id of every image."""
        ...

    @property
    def names(self) -> Sequence[str] | None:
        """A name per image for people (raw: it may hold anything), or None."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the images and labels, as hexadecimal digits."""
        ...

    @property
    def reasons(self) -> dict[int, str]:
        """Row -> why its status is not 0, for the rows read so far."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int] | np.ndarray) -> Rows:
        """Read rows, in the order asked for.

        Raises:
            OSError: The file system failed, also after retries; a bad image is a status and no error.
        """
        ...

    def close(self) -> None:
        """Give back threads and files."""
        ...


def checked_rows(rows: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """Return rows as int64, each inside ``0 ... n - 1``."""
    picked = np.asarray(rows)
    if picked.size == 0:
        return np.zeros(0, np.int64)
    if picked.ndim != 1 or picked.dtype.kind not in "iu" or picked.min() < 0 or picked.max() >= n:
        raise InputError(f"source: rows must be whole numbers in 0 ... {n - 1}, got {rows!r}.")
    return picked.astype(np.int64)


def label_rows(labels: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Return the labels of rows; -1 for each when there are none."""
    return np.full(len(rows), -1, np.int64) if labels is None else labels[rows]


def digest(*parts: object) -> str:
    """Return a hash over arrays, bytes and anything with a plain ``repr``."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype.str}{part.shape}".encode())
            total.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        else:
            total.update(part if isinstance(part, bytes) else repr(part).encode(errors="surrogatepass"))
        total.update(b"\0")
    return total.hexdigest()
