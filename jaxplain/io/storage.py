"""The only file that touches TensorStore: keys, bytes and arrays under one URL.

Plain paths, ``file://``, ``memory://``, ``s3://bucket/prefix`` and ``gs://bucket/prefix`` behave alike. Every write is
atomic and durable when the call (or the pending write) returns. Failures of the place are `OSError` with the place in
the message; content that cannot be what it should be is an `InputError`. How long an object store is waited for is said
in ``jaxplain.io.remote``.
"""

import errno
import functools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

import tensorstore as ts

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.exclusive import LinksUnsupported, create_exclusively, remove_leftovers
from jaxplain.io.failures import FAILURES, finish, out_of_time, translate
from jaxplain.io.remote import DRIVERS, Patience, remote_context, remote_spec
from jaxplain.io.retries import ATTEMPTS, located, retrying
from jaxplain.io.storedarray import StoredArray

SCHEMES = ("file", "memory", "s3", "gs")
T = TypeVar("T")


@functools.cache
def _context(more: str = "{}") -> ts.Context:
    """Return the one context of the process, or for object stores that with more resources, as JSON."""
    # memory:// is shared inside a context, requests share its limits, and encoding must not starve the computation.
    # Without locking every write goes to a file of its own name before it is renamed. With it, writers share one lock
    # file, which is not emptied first: what a killed writer left there becomes the end of the next value.
    encoders = max(2, (os.cpu_count() or 1) // 4)
    limits = {"file_io_concurrency": {"limit": 16}, "data_copy_concurrency": {"limit": encoders}}
    return ts.Context({**limits, "file_io_locking": {"mode": "none"}, **json.loads(more)})


@functools.cache
def _locking_context() -> ts.Context:
    return ts.Context({"file_io_locking": {"mode": "os"}})


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
    if scheme in DRIVERS:
        bucket, _, path = rest.partition("/")
        return remote_spec(scheme, bucket, _folder(path))
    return {"driver": scheme, "path": _folder(rest)}


def _folder(path: str) -> str:
    return path if not path or path.endswith("/") else path + "/"


class Storage:
    """Keys, bytes and arrays under one URL. Keys are relative, with ``/`` between their parts."""

    def __init__(self, url: str, spec: dict[str, Any], patience: Patience):
        self.url = url
        self._spec = spec
        self.folder: str | None = spec["path"] if spec["driver"] == "file" else None
        """The folder behind the URL, or None."""
        scheme = next((scheme for scheme, driver in DRIVERS.items() if driver == spec["driver"]), None)
        more = {} if scheme is None else remote_context(scheme, patience)
        self._deadline = None if scheme is None else patience.deadline
        self._context = _context(json.dumps(more, sort_keys=True)) if more else _context()
        self._kv = self._finish(ts.KvStore.open(spec, context=self._context), "")

    @classmethod
    def open(cls, url: str | os.PathLike[str], patience: Patience = Patience()) -> "Storage":  # noqa: B008  frozen
        """Open a place for reading and writing; nothing is created before the first write.

        Args:
            url: A path, or a ``file://``, ``memory://``, ``s3://`` or ``gs://`` address.
            patience: How long an object store is waited for.

        Raises:
            InputError: No address, or an object store without credentials.
        """
        text = os.fspath(url)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"storage: {text!r} is not UTF-8; give the store a path of plain characters.") from None
        return cls(text, _kvstore_spec(text), patience)

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"

    def _retrying(self, action: Callable[[], T]) -> T:
        # Requests to an object store were repeated already, with longer pauses.
        return retrying(action, attempts=ATTEMPTS if self._deadline is None else 1)

    def _finish(self, future: Any, key: str) -> Any:
        return finish(future, self.where(key), self._deadline)

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
                found = self._finish(future, key)
            except OSError:
                found = self._retrying(lambda key=key: self._finish(self._kv.read(os.fsencode(key)), key))  # type: ignore[misc]
            results.append(bytes(found.value) if found.state == "value" else None)
        return results

    def write(self, key: str, data: bytes) -> None:
        """Write or replace a key, atomically."""
        self._retrying(lambda: self._finish(self._kv.write(os.fsencode(key), data), key))

    def create(self, key: str, data: bytes) -> bool:
        """Write a key only if it does not exist; of several writers at most one gets True.

        Where an object store's answer was lost, the writer may get False: ``jaxplain.io.claims`` looks again.
        """
        if self.folder is not None:
            try:
                return create_exclusively(os.path.join(self.folder, key), data)
            except LinksUnsupported:
                kv = self._finish(ts.KvStore.open(self._spec, context=_locking_context()), "")
            except OSError as error:
                placed = located(error, self.where(key))
                raise placed from (None if placed is error else error)
        else:
            kv = self._kv
        found = self._retrying(lambda: self._finish(kv.read(os.fsencode(key)), key))
        if found.state != "missing":
            return False
        condition = found.stamp.generation
        stamp = self._retrying(lambda: self._finish(kv.write(os.fsencode(key), data, if_equal=condition), key))
        return bool(stamp.generation)

    def check_writing(self) -> None:
        """Write and delete a small key of an object store, so that what stands against it is known before work begins.

        Raises:
            OSError: There is no such bucket, or it may not be written.
            InputError: The server overwrites what is there although it is asked not to.
        """
        if self._deadline is None:
            return
        key = f"writing/{uuid.uuid4().hex}"
        name = os.fsencode(key)
        nothing = self._finish(self._kv.read(name), key).stamp.generation
        self.write(key, b"first")
        again = self._finish(self._kv.write(name, b"second", if_equal=nothing), key)
        self.delete(key)
        if again.generation:
            raise InputError(
                f"{self.url}: the server overwrites a key that it was to create only where there is none "
                "(If-None-Match), so workers cannot share it; use another server, or a newer version of it."
            )

    def remove_leftovers(self, older_than: float = 3600.0) -> int:
        """Delete what killed writers left half-written in a folder, if older than so many seconds; return how many."""
        return 0 if self.folder is None else remove_leftovers(self.folder, older_than, time.time())

    def delete(self, key: str) -> None:
        """Delete a key; a missing one is no error."""
        self._retrying(lambda: self._finish(self._kv.write(os.fsencode(key), None), key))

    def delete_all(self, prefix: str) -> None:
        """Delete every key that starts with ``prefix``."""
        self._retrying(lambda: self._finish(self._kv.delete_range(_range(prefix)), prefix))

    def list(self, prefix: str = "") -> list[str]:
        """Return the keys that start with ``prefix``, sorted."""
        keys = self._retrying(lambda: self._finish(self._kv.list(_range(prefix)), prefix))
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
            opened = ts.open(spec, context=self._context, open=True, read=True, write=mode == "w").result(
                self._deadline
            )
        except TimeoutError as error:
            raise out_of_time(self._deadline or 0, where) from error
        except FAILURES as error:
            failure = translate(error, where)
            if isinstance(failure, OSError) and failure.errno == errno.EIO:  # metadata that TensorStore rejects
                failure = InputError(f"{where}: cannot be opened as a zarr array ({error}); check or delete it.")
            raise failure from error
        return StoredArray(where, opened, self._deadline)
