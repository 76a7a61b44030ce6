"""Where results go: rows of arrays in, pending writes out.

A shard has one writer and is written whole; `Pending.result` returns when the values are durable, so that a
marker may follow.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.retries import ATTEMPTS, PAUSE, is_transient
from jaxplain.io.storage import Storage
from jaxplain.io.storedarray import StoredArray, Write


class Pending(Protocol):
    """A write under way."""

    def done(self) -> bool:
        """Tell whether `result` would return at once."""
        ...

    def result(self) -> None:
        """Wait until the values are durable; raise `OSError` when they cannot be written."""
        ...


class Sink(Protocol):
    """A place for arrays whose first axis is written shard by shard."""

    def create(self, specs: Iterable[ArraySpec], groups: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Create arrays and groups; the same call may be repeated, a different one is an `InputError`."""
        ...

    def write(self, path: str, first_row: int, values: np.ndarray) -> Pending:
        """Start to write one or more whole shards; leave ``values`` alone until the result is there."""
        ...


class _ShardWrite:
    """A write that starts again, a bounded number of times, after an error that may pass."""

    def __init__(self, array: StoredArray, first_row: int, values: np.ndarray):
        self._array, self._first_row = array, first_row
        self._values: np.ndarray | None = values
        self._write: Write = array.write(first_row, values)

    def done(self) -> bool:
        return self._write.done()

    def result(self) -> None:
        pause = PAUSE
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                self._write.result()
                self._values = None
                return
            except OSError as error:
                if left == 0 or self._values is None or not is_transient(error):
                    raise
                time.sleep(pause)
                pause *= 4
                self._write = self._array.write(self._first_row, self._values)


class StoreSink:
    """The sink of a store: sharded zarr arrays under one URL."""

    def __init__(self, storage: Storage):
        self.storage = storage
        self._open: dict[str, StoredArray] = {}

    def create(self, specs: Iterable[ArraySpec], groups: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Create arrays, the groups above them, and groups with attributes; repeating it changes nothing.

        Args:
            specs: The arrays.
            groups: Path of a group -> its attributes (JSON values).

        Raises:
            InputError: An array or group exists with other settings.
        """
        specs = list(specs)
        wanted = {path: dict(attributes) for path, attributes in (groups or {}).items()}
        for path in [*(spec.path for spec in specs), *wanted]:
            parts = path.split("/")
            for depth in range(len(parts)):
                above = "/".join(parts[:depth])
                # A group that another call gave attributes to keeps them.
                if above not in wanted and self.storage.node(above) is None:
                    wanted[above] = {}
        for path, attributes in sorted(wanted.items()):
            self.storage.create_group(path, attributes)
        for spec in specs:
            self.storage.create_array(spec)

    def write(self, path: str, first_row: int, values: np.ndarray) -> Pending:
        """Start to write whole shards of one array.

        Args:
            path: Path of the array.
            first_row: First row, a multiple of the array's rows per shard.
            values: The rows, in the array's dtype; referenced until the result is there.

        Raises:
            InputError: The rows are not whole shards, or shape or dtype differ from the array's.
        """
        array = self._open.get(path)
        if array is None:
            array = self._open[path] = self.storage.open_array(path, "w")
        _check(array, first_row, values)
        return _ShardWrite(array, first_row, np.ascontiguousarray(values))


def _check(array: StoredArray, first_row: int, values: np.ndarray) -> None:
    n, step = array.shape[0], array.shard_rows
    stop = first_row + len(values)
    if values.dtype != array.dtype:
        raise InputError(f"{array.where}: holds {array.dtype}, got {values.dtype}; convert the values first.")
    if values.shape[1:] != array.shape[1:]:
        raise InputError(f"{array.where}: rows have shape {array.shape[1:]}, got {values.shape[1:]}.")
    whole = first_row % step == 0 and (stop % step == 0 or stop == n)
    if not (0 <= first_row < stop <= n and whole):
        raise InputError(
            f"{array.where}: rows {first_row} ... {stop - 1} are not whole shards of {step} rows out of {n}; "
            "write a shard at once, it would be rewritten for every part."
        )
