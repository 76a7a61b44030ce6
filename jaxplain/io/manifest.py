"""The manifest ``jaxplain.json``: what a store holds and how it was made; created once, by the first worker.

It carries the digest of its own bytes, see ``jaxplain.io.seals``.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.seals import sealed, unsealed
from jaxplain.io.storage import Storage

KEY = "jaxplain.json"
SCHEMA = 1


def create_manifest(storage: Storage, manifest: Mapping[str, Any]) -> bool:
    """Write the manifest unless there is one; exactly one of several workers gets True.

    Args:
        storage: The store.
        manifest: JSON values; NumPy scalars and paths are converted. ``schema`` is added.

    Raises:
        InputError: A value cannot be written as JSON.
    """
    return storage.create(KEY, sealed(_dump({**manifest, "schema": SCHEMA})))


def replace_manifest(storage: Storage, manifest: Mapping[str, Any]) -> None:
    """Write another manifest in the place of the one that is there; see ``create_manifest``."""
    storage.write(KEY, sealed(_dump({**manifest, "schema": SCHEMA})))


def read_manifest(storage: Storage) -> dict[str, Any]:
    """Return the manifest.

    Raises:
        InputError: There is none, it is damaged, or a version of the format that is not known here.
    """
    where = storage.where(KEY)
    raw = storage.read(KEY)
    if raw is None:
        raise InputError(f"{where}: not found, so this is no store; check the path or start a run that writes here.")
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise InputError(f"{where}: not valid JSON ({error}); restore the file or start in a new output.") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise InputError(
            f"{where}: format version {schema!r}, this library reads {SCHEMA}; use the version that wrote the store."
        )
    try:
        return unsealed(raw)
    except ValueError as error:
        raise InputError(f"{where}: damaged ({error}); restore the file or start in a new output.") from error


class StoredManifest:
    """The manifest of a store, as a run asks for it."""

    def __init__(self, storage: Storage):
        self._storage = storage

    def create(self, manifest: Mapping[str, Any]) -> bool:
        """Write it unless there is one; True for the one that wrote."""
        return create_manifest(self._storage, manifest)

    def read(self) -> dict[str, Any] | None:
        """Return it, or None."""
        return None if self._storage.read(KEY) is None else read_manifest(self._storage)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], ignore: Sequence[str] = ()) -> list[str]:
    """List the keys in which two manifests differ, one readable line each.

    Args:
        old: The manifest of the store.
        new: The manifest of the job.
        ignore: Dotted keys to leave out, with everything below them.

    Example:
        >>> differences({"plan": {"batch": 8}}, {"plan": {"batch": 4}})
        ['plan.batch: 8 in the store, 4 in the job']
    """
    before, after = _flat(json.loads(_dump(old))), _flat(json.loads(_dump(new)))
    lines = []
    for key in sorted({*before, *after}):
        left, right = before.get(key, "nothing"), after.get(key, "nothing")
        skipped = any(key == path or key.startswith(path + ".") for path in ignore)
        if left != right and not skipped:
            lines.append(f"{key}: {left} in the store, {right} in the job")
    return lines


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, below in value.items():
            found |= _flat(below, f"{prefix}.{key}" if prefix else key)
        return found
    return {prefix: json.dumps(value, ensure_ascii=True, sort_keys=True)}


def _dump(value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(value, sort_keys=True, indent=1, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise InputError(f"manifest: a value cannot be written as JSON ({error}); use plain, finite values.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, tuple | set | frozenset):
        return sorted(value) if not isinstance(value, tuple) else list(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
