"""Stored maps as an array that decodes what is asked for, and says what is missing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.encoding import decode
from jaxplain.io.storedarray import StoredArray
from jaxplain.io.upsampling import Upsampling


def listed(shards: Iterable[int]) -> str:
    """Return numbers for people, such as ``3, 5-9``.

    Example:
        >>> listed([3, 5, 6, 7])
        '3, 5-7'
    """
    runs: list[list[int]] = []
    for shard in sorted(shards):
        if runs and shard == runs[-1][1] + 1:
            runs[-1][1] = shard
        else:
            runs.append([shard, shard])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


class ShardedRows:
    """Rows of a stored array of which only the finished shards count."""

    def __init__(self, array: StoredArray, finished: Iterable[int], missing: str, where: str):
        self._array, self._missing, self._where = array, missing, where
        self._finished = np.zeros(-(-array.shape[0] // array.shard_rows), bool)
        for shard in finished:
            if 0 <= shard < len(self._finished):
                self._finished[shard] = True

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of rows and which of them exist; the others hold the fill value.

        Raises:
            InputError: A row lies in an unfinished shard and ``missing`` is ``"error"``.
        """
        there = self._finished[rows // self._array.shard_rows]
        if self._missing == "error" and not there.all():
            absent = listed(np.unique(rows[~there] // self._array.shard_rows).tolist())
            raise InputError(
                f"{self._where}: shards {absent} are not finished; run the job again to complete them, "
                "or read with missing='nan'."
            )
        values = np.zeros((len(rows), *self._array.shape[1:]), self._array.dtype)
        if values.dtype.kind == "f":
            values[~there] = np.nan
        if there.any():
            picked = rows[there]
            run = len(picked) == picked[-1] - picked[0] + 1 and bool((np.diff(picked) == 1).all())
            found = self._array.read(slice(int(picked[0]), int(picked[-1]) + 1) if run else picked)
            if there.all():
                return found, there
            values[there] = found
        return values, there


class MapArray:
    """The maps of one method: indexing by rows returns float32, nothing is read before.

    Maps that are stored at a layer's resolution are brought to the examples' size when they are read; ``coarse`` are
    the stored ones.

    Example:
        ``store.maps("smoothgrad")[10:20]`` has shape ``(10, H, W, C)``.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        value: StoredArray,
        scale: StoredArray | None,
        finished: Iterable[int],
        missing: str,
        where: str,
        upsampling: Upsampling | None = None,
    ):
        if missing not in ("error", "nan"):
            raise InputError(f"maps: missing must be 'error' or 'nan', got {missing!r}.")
        finished = list(finished)
        self._value = ShardedRows(value, finished, missing, where)
        self._scale = None if scale is None else ShardedRows(scale, finished, missing, where)
        self.shape = value.shape
        self.dims = value.dimensions
        self.shard_rows = value.shard_rows
        self.upsampling = upsampling
        """How the stored maps become these, or None where they are these."""
        if upsampling is not None:
            front = len(self.shape) - len(upsampling.space)
            if front < 1:
                raise InputError(
                    f"{where}: maps {self.shape} have no {len(upsampling.space)} axes of space; restore it."
                )
            self.shape = (*self.shape[:front], *upsampling.space)
            self.dims = (*self.dims[:front], *upsampling.dimensions)
        self._stored = value, scale, finished, missing, where

    @property
    def coarse(self) -> "MapArray":
        """The maps as they are stored, at the resolution of the method's layer where that is coarser."""
        return self if self.upsampling is None else MapArray(*self._stored)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes, the images included."""
        return len(self.shape)

    def shards(self) -> Iterator[slice]:
        """Yield the rows of each shard in order, to work through all maps in bounded memory."""
        for first in range(0, len(self), self.shard_rows):
            yield slice(first, min(first + self.shard_rows, len(self)))

    def __getitem__(self, rows: int | slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Read and decode rows given as a number, a slice, a list or a mask.

        Raises:
            InputError: A row lies outside, or in an unfinished shard (unless opened with ``missing="nan"``).
        """
        picked = row_numbers(rows, len(self))
        value, _ = self._value.read(picked)
        maps = np.asarray(value, np.float32) if self._scale is None else decode(value, self._scale.read(picked)[0])
        maps = maps if self.upsampling is None else self.upsampling(maps)
        return maps[0] if isinstance(rows, int | np.integer) else maps

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def row_numbers(rows: int | slice | Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """Return any form of row index as int64 numbers in ``0 ... n - 1``; negative ones count from the end."""
    if isinstance(rows, slice):
        return np.arange(n, dtype=np.int64)[rows]
    picked = np.atleast_1d(np.asarray(rows))
    if picked.dtype == bool and picked.shape == (n,):
        return np.flatnonzero(picked)
    if picked.size == 0:
        return np.zeros(0, np.int64)
    if picked.ndim != 1 or picked.dtype.kind not in "iu" or picked.max() >= n or picked.min() < -n:
        raise InputError(f"rows: expected whole numbers below {n}, a slice or a mask of {n}, got {rows!r}.")
    return np.where(picked < 0, picked + n, picked).astype(np.int64)
