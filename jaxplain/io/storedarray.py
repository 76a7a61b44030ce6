"""An open array of a store, read by rows and written by whole shards; it holds TensorStore's without naming it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.failures import FAILURES, finish, translate
from jaxplain.io.retries import ATTEMPTS, retrying


class Write:
    """One write under way; `result` blocks until it is durable."""

    def __init__(self, future: Any, where: str, deadline: float | None = None):
        self._future, self._where, self._deadline = future, where, deadline

    def done(self) -> bool:
        """Tell whether `result` would return (or raise) at once."""
        return bool(self._future.done())

    def result(self) -> None:
        """Wait until the values are durable; raise `OSError` when they cannot be written."""
        finish(self._future, self._where, self._deadline)


@dataclass(frozen=True)
class StoredArray:
    """An open array; rows are its first axis."""

    where: str
    _array: Any
    _deadline: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with the rows first."""
        return tuple(self._array.shape)

    @property
    def dtype(self) -> np.dtype:
        """NumPy dtype of the values."""
        return np.dtype(self._array.dtype.numpy_dtype)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the axes; empty strings where the array has none."""
        return tuple(self._array.domain.labels)

    @property
    def shard_rows(self) -> int:
        """Rows of one shard, the unit of writing."""
        return int(self._array.chunk_layout.write_chunk.shape[0])

    def read(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """Read a slice or a list of rows; what was never written raises unless the array was opened with ``holes``."""
        n = self.shape[0]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(n)
            picked = np.arange(start, stop, step) if step != 1 else slice(start, max(start, stop))
        else:
            picked = np.asarray(rows, dtype=np.int64)
            if picked.size and (picked.min() < 0 or picked.max() >= n):
                raise InputError(
                    f"{self.where}: row {picked.min() if picked.min() < 0 else picked.max()} is outside "
                    f"0 ... {n - 1}; ask for rows of this array."
                )
        if not isinstance(picked, slice) and picked.size == 0:
            return np.zeros((0, *self.shape[1:]), self.dtype)
        # Requests to an object store, which has a deadline, were repeated already, with longer pauses.
        attempts = ATTEMPTS if self._deadline is None else 1
        read = lambda: np.asarray(finish(self._array[picked].read(), self.where, self._deadline))  # noqa: E731
        return retrying(read, attempts=attempts)

    def write(self, first_row: int, values: np.ndarray) -> Write:
        """Start to write whole rows; ``values`` is referenced, not copied, until the write is durable."""
        target = self._array[first_row : first_row + len(values)]
        try:
            future = target.write(values, can_reference_source_data_indefinitely=True).commit
        except FAILURES as error:
            raise translate(error, self.where) from error
        return Write(future, self.where, self._deadline)
