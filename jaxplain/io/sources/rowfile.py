"""Rows of an array inside a file, read where they lie: memory does not grow with the number of images.

Plain reads instead of a memory map: a map's pages count as the process's memory once they are touched, and a
truncated file or a failing disk would end the process by SIGBUS instead of raising `OSError`.
"""

import functools
import math
import mmap
import os
import weakref
from collections.abc import Sequence

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.retries import retrying


class RowFile:
    """Array-like view of row-major values at an offset of a file; indexing by rows reads them.

    Args:
        path: The file.
        offset: Position of the first byte.
        dtype: Dtype of the values.
        shape: Shape, rows first.

    Raises:
        InputError: The file is too short.
    """

    def __init__(self, path: str | os.PathLike[str], offset: int, dtype: np.dtype, shape: tuple[int, ...]):
        self.path, self.offset, self.dtype, self.shape = os.fspath(path), offset, np.dtype(dtype), tuple(shape)
        self._row_bytes = math.prod(shape[1:]) * self.dtype.itemsize
        self._file = os.open(self.path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)
        self._facts = self._seen()
        have, need = self._facts[0], offset + shape[0] * self._row_bytes
        if have < need:
            self.close()
            raise InputError(f"{self.path}: truncated, {need} bytes are declared and {have} there; copy it again.")

    def __len__(self) -> int:
        return self.shape[0]

    def close(self) -> None:
        """Close the file."""
        self._close()

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        picked = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, np.int64)
        out = np.empty((len(picked), *self.shape[1:]), self.dtype)
        if self._seen() != self._facts:
            raise InputError(f"{self.path}: changed while in use; leave it alone, and start again.")
        if out.nbytes:
            raw = out.reshape(len(picked), -1).view(np.uint8)
            ends = np.flatnonzero(np.diff(picked) != 1) + 1
            for first, last in zip([0, *ends], [*ends, len(picked)], strict=True):
                self._fill(raw[first:last].data.cast("B"), self.offset + int(picked[first]) * self._row_bytes)
        return out

    def _seen(self) -> tuple[int, int]:
        facts = os.fstat(self._file)
        return facts.st_size, facts.st_mtime_ns

    def _fill(self, target: memoryview, position: int) -> None:
        while len(target):
            read = functools.partial(os.preadv, self._file, [target], position)
            got = retrying(read, self.path)
            if got == 0:
                raise InputError(f"{self.path}: ended at byte {position}, it was cut while in use; copy it again.")
            target, position = target[got:], position + got


def unmapped(images: object) -> object:
    """Return a `RowFile` for a whole read-only memory map of a C-ordered file, and anything else as it is."""
    whole = isinstance(images, np.memmap) and isinstance(images.base, mmap.mmap) and images.mode == "r"
    if not whole or images.filename is None or not images.flags.c_contiguous:  # type: ignore[attr-defined]
        return images
    return RowFile(images.filename, images.offset, images.dtype, images.shape)  # type: ignore[attr-defined]
