"""The only file that touches TensorStore: keys, bytes and arrays under one URL.

Plain paths, ``file://``, ``memory://``, ``s3://bucket/prefix`` and ``gs://bucket/prefix`` behave alike. Every write is
atomic and durable when the call (or the pending write) returns. Failures of the file system are `OSError` with
the place in the message; content that cannot be what it should be is an `InputError`.
"""

import errno
import functools
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import numpy as np
import tensorstore as ts

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.exclusive import LinksUnsupported, create_exclusively, remove_leftovers
from jaxplain.io.retries import located, retrying

SCHEMES = ("file", "memory", "s3", "gs")
_ERRNO = {
    "NOT_FOUND": errno.ENOENT,
    "PERMISSION_DENIED": errno.EACCES,
    "UNAUTHENTICATED": errno.EACCES,
    "RESOURCE_EXHAUSTED": errno.ENOSPC,
    "UNAVAILABLE": errno.EAGAIN,
    "ABORTED": errno.EAGAIN,
    "DEADLINE_EXCEEDED": errno.ETIMEDOUT,
}
_FAILURES = (ValueError, RuntimeError, NotImplementedError, LookupError)


@functools.cache
def _context() -> ts.Context:
    # One context for the process: memory:// is shared inside a context, and encoding must not starve the computation.
    # Without locking every write goes to a file of its own name before it is renamed. With it, writers share one lock
    # file, which is not emptied first: what a killed writer left there becomes the end of the next value.
    encoders = max(1, (os.cpu_count() or 1) // 4)
    limits = {"file_io_concurrency": {"limit": 16}, "data_copy_concurrency": {"limit": encoders}}
    return ts.Context({**limits, "file_io_locking": {"mode": "none"}})


@functools.cache
def _locking_context() -> ts.Context:
    return ts.Context({"file_io_locking": {"mode": "os"}})


def _translate(error: Exception, where: str) -> Exception:
    text = str(error)
    found = re.search(r"os_error_code='(\d+)'", text)
    code = int(found.group(1)) if found else _ERRNO.get(text.partition(":")[0])
    if code is not None:
        return OSError(code, f"{os.strerror(code)} ({text})", where)
    if text.startswith("DATA_LOSS") or "Error reading shard entry" in text:
        return InputError(f"{where}: the stored bytes are damaged ({text}); delete this part and write it again.")
    if "Invalid key" in text:
        return InputError(f"{where}: cannot name a file ({text}); choose another name.")
    return OSError(errno.EIO, text, where)


def _finish(future: Any, where: str) -> Any:
    try:
        return future.result()
    except _FAILURES as error:
        raise _translate(error, where) from error


def _range(prefix: str) -> ts.KvStore.KeyRange:
    low = os.fsencode(prefix)
    return ts.KvStore.KeyRange(low, low[:-1] + bytes([low[-1] + 1])) if low else ts.KvStore.KeyRange()


def _kvstore_spec(url: str) -> dict[str, Any]:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "file", os.path.abspath(url)
    elif scheme == "file":
        rest = os.path.abspath(unquote(rest.removeprefix("localhost")))
    if scheme not in SCHEMES:
        raise InputError(f"storage: cannot open {url!r}; use a path or one of {', '.join(s + '://' for s in SCHEMES)}.")
    if scheme in ("s3", "gs"):
        bucket, _, path = rest.partition("/")
        return {"driver": "gcs" if scheme == "gs" else "s3", "bucket": bucket, "path": _folder(path)}
    return {"driver": scheme, "path": _folder(rest)}


def _folder(path: str) -> str:
    return path if not path or path.endswith("/") else path + "/"


class Write:
    """One write under way; `result` blocks until it is durable."""

    def __init__(self, future: Any, where: str):
        self._future, self._where = future, where

    def done(self) -> bool:
        """Tell whether `result` would return (or raise) at once."""
        return bool(self._future.done())

    def result(self) -> None:
        """Wait until the values are durable; raise `OSError` when they cannot be written."""
        _finish(self._future, self._where)


@dataclass(frozen=True)
class StoredArray:
    """An open array; rows are its first axis."""

    where: str
    _array: Any

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
        return retrying(lambda: np.asarray(_finish(self._array[picked].read(), self.where)))

    def write(self, first_row: int, values: np.ndarray) -> Write:
        """Start to write whole rows; ``values`` is referenced, not copied, until the write is durable."""
        target = self._array[first_row : first_row + len(values)]
        try:
            future = target.write(values, can_reference_source_data_indefinitely=True).commit
        except _FAILURES as error:
            raise _translate(error, self.where) from error
        return Write(future, self.where)


class Storage:
    """Keys, bytes and arrays under one URL. Keys are relative, with ``/`` between their parts."""

    def __init__(self, url: str, spec: dict[str, Any]):
        self.url = url
        self._spec = spec
        self.folder: str | None = spec["path"] if spec["driver"] == "file" else None
        """The folder behind the URL, or None."""
        self._kv = _finish(ts.KvStore.open(spec, context=_context()), url)

    @classmethod
    def open(cls, url: str | os.PathLike[str]) -> "Storage":
        """Open a place for reading and writing; nothing is created before the first write."""
        text = os.fspath(url)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"storage: {text!r} is not UTF-8; give the store a path of plain characters.") from None
        return cls(text, _kvstore_spec(text))

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    def where(self, key: str) -> str:
        """Return a key's place for people."""
        return f"{self.url.rstrip('/')}/{key}" if key else self.url

    def read(self, key: str) -> bytes | None:
        """Return the bytes of a key, or None when it does not exist."""
        return self.read_many([key])[0]

    def read_many(self, keys: Iterable[str]) -> list[bytes | None]:
        """Read several keys at once."""
        pending = [(key, self._kv.read(os.fsencode(key))) for key in keys]
        results = []
        for key, future in pending:
            try:
                found = _finish(future, self.where(key))
            except OSError:
                found = retrying(lambda key=key: _finish(self._kv.read(os.fsencode(key)), self.where(key)))  # type: ignore[misc]
            results.append(bytes(found.value) if found.state == "value" else None)
        return results

    def write(self, key: str, data: bytes) -> None:
        """Write or replace a key, atomically."""
        retrying(lambda: _finish(self._kv.write(os.fsencode(key), data), self.where(key)))

    def create(self, key: str, data: bytes) -> bool:
        """Write a key only if it does not exist; of several writers exactly one gets True."""
        if self.folder is not None:
            try:
                return create_exclusively(os.path.join(self.folder, key), data)
            except LinksUnsupported:
                kv = _finish(ts.KvStore.open(self._spec, context=_locking_context()), self.url)
            except OSError as error:
                placed = located(error, self.where(key))
                raise placed from (None if placed is error else error)
        else:
            kv = self._kv
        found = retrying(lambda: _finish(kv.read(os.fsencode(key)), self.where(key)))
        if found.state != "missing":
            return False
        # No retry: after a lost answer nobody could tell one's own success from somebody else's.
        condition = found.stamp.generation
        stamp = _finish(kv.write(os.fsencode(key), data, if_equal=condition), self.where(key))
        return bool(stamp.generation)

    def remove_leftovers(self, older_than: float = 3600.0) -> int:
        """Delete what killed writers left half-written in a folder, if older than so many seconds; return how many."""
        return 0 if self.folder is None else remove_leftovers(self.folder, older_than, time.time())

    def delete(self, key: str) -> None:
        """Delete a key; a missing one is no error."""
        retrying(lambda: _finish(self._kv.write(os.fsencode(key), None), self.where(key)))

    def delete_all(self, prefix: str) -> None:
        """Delete every key that starts with ``prefix``."""
        retrying(lambda: _finish(self._kv.delete_range(_range(prefix)), self.where(prefix)))

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that start with ``prefix``, sorted."""
        keys = retrying(lambda: _finish(self._kv.list(_range(prefix)), self.where(prefix)))
        return sorted(os.fsdecode(key) for key in keys)

    def create_group(self, path: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Write the metadata of a zarr group; an equal one may exist, a different one is an `InputError`."""
        self._create_node(path, {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})})

    def create_array(self, spec: ArraySpec) -> None:
        """Write the metadata of an array; an equal one may exist, a different one is an `InputError`."""
        self._create_node(spec.path, spec.metadata())

    def node(self, path: str) -> dict[str, Any] | None:
        """Return the zarr metadata of a group or array, or None when there is none."""
        key = f"{path}/zarr.json".lstrip("/")
        raw = self.read(key)
        if raw is None:
            return None
        try:
            content = json.loads(raw)
        except ValueError as error:
            raise InputError(f"{self.where(key)}: not valid JSON ({error}); delete it and run again.") from error
        return dict(content)

    def _create_node(self, path: str, content: dict[str, Any]) -> None:
        key = f"{path}/zarr.json".lstrip("/")
        wanted = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
        if self.create(key, wanted.encode()):
            return
        found, content = self.node(path) or {}, json.loads(wanted)
        changed = [name for name in sorted({*found, *content}) if found.get(name) != content.get(name)]
        if changed:
            detail = "; ".join(f"{name}: {found.get(name)} there, {content.get(name)} wanted" for name in changed)
            raise InputError(f"{self.where(key)}: exists with other settings ({detail}); choose another output.")

    def open_array(self, path: str, mode: str = "r", *, holes: bool = False) -> StoredArray:
        """Open a zarr array (version 3 or 2) for reading (``"r"``) or for reading and writing (``"w"``).

        Args:
            path: Path of the array under this URL; empty for the URL itself.
            mode: ``"r"`` or ``"w"``.
            holes: Read what was never written as the fill value instead of raising.
        """
        if mode not in ("r", "w"):
            raise InputError(f"open_array: mode must be 'r' or 'w', got {mode!r}.")
        if self.node(path) is not None:
            driver = "zarr3"
        elif self.read(f"{path}/.zarray".lstrip("/")) is not None:
            driver = "zarr"
        else:
            raise InputError(f"{self.where(path)}: no zarr array here; check the path.")
        spec = {
            "driver": driver,
            "kvstore": {**self._spec, "path": self._spec["path"] + _folder(path)},
            "store_data_equal_to_fill_value": True,
            "fill_missing_data_reads": holes,
        }
        where = self.where(path)
        try:
            opened = ts.open(spec, context=_context(), open=True, read=True, write=mode == "w").result()
        except _FAILURES as error:
            failure = _translate(error, where)
            if isinstance(failure, OSError) and failure.errno == errno.EIO:  # metadata that TensorStore rejects
                failure = InputError(f"{where}: cannot be opened as a zarr array ({error}); check or delete it.")
            raise failure from error
        return StoredArray(where, opened)
