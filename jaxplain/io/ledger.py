"""Which shards are finished: one marker per name and shard, created exclusively after everything else is durable.

Data without a marker count as missing. Markers are small JSON files at ``done/<name>/<shard>.json``; each carries the
digest of its own bytes and vouches for the values of its rows and for the small files beside them.
"""

import errno
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.claims import claim
from jaxplain.io.seals import sealed, unsealed
from jaxplain.io.storage import Storage


def checksum(values: np.ndarray) -> str:
    """Return the SHA-256 of the values' bytes in row-major order, as a marker stores it.

    Example:
        >>> checksum(np.zeros(2, np.float16))[:23]
        'sha256:df3f619804a92fdb'
    """
    return file_checksum(np.ascontiguousarray(values).view(np.uint8).data)


def file_checksum(content: bytes | memoryview) -> str:
    """Return the SHA-256 of a file's bytes, as a marker stores it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Marker:
    """The proof that one shard of one name is finished.

    Args:
        name: The method's name, or ``rows`` for the clean pass.
        shard: Number of the shard.
        first_row: First row of the shard.
        rows: Number of rows in it.
        checksums: Path of each array -> `checksum` of the rows handed to it.
        hash: Hash of the part of the job that decides the values.
        device: Kind of the device that computed them.
        facts: Anything else worth keeping (JSON values): seconds, counts of quarantined images.
        files: Key of each small file that belongs to it -> `file_checksum`. Those that describe the arrays, and the
            groups above them, are added when it is written.
    """

    name: str
    shard: int
    first_row: int
    rows: int
    checksums: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""
    device: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


class Ledger:
    """The markers of a store."""

    def __init__(self, storage: Storage):
        self.storage = storage

    def names(self) -> list[str]:
        """Return the names that have at least one finished shard."""
        keys = self.storage.list("done/")
        return sorted({key[len("done/") :].rpartition("/")[0] for key in keys if _is_marker(key)})

    def finished(self, name: str) -> dict[int, Marker]:
        """Return the markers of a name by shard, in the order of the shards.

        Raises:
            InputError: A marker cannot be read; deleting it lets the shard be redone.
        """
        found = {}
        for shard, marker in self.read(name):
            if isinstance(marker, InputError):
                raise marker
            found[shard] = marker
        return dict(sorted(found.items()))

    def read(self, name: str) -> Iterator[tuple[int, Marker | InputError]]:
        """Yield the shards of a name that have markers, with the marker or what is wrong with it."""
        prefix = _folder(name)
        keys = [key for key in self.storage.list(prefix) if _is_marker(key) and key.count("/") == prefix.count("/")]
        for key, raw in zip(keys, self.storage.read_many(keys), strict=True):
            if raw is not None:  # deleted since it was listed
                shard = int(key[len(prefix) : -len(".json")])
                yield shard, _parse(raw, self.storage.where(key), name, shard)

    def mark(self, marker: Marker) -> bool:
        """Declare a shard finished; call it last. False when another worker has done so already."""
        # The nonce tells one's own marker, whose answer was lost on the way, from another worker's.
        files = {**self._descriptions(marker.checksums), **marker.files}
        content = {**asdict(marker), "files": files, "nonce": uuid.uuid4().hex}
        text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False, default=_plain)
        return claim(self.storage, marker_key(marker.name, marker.shard), sealed(text))

    def lacking(self, names: Sequence[str], shard: int) -> list[str]:
        """Return those of some names that have no marker for a shard."""
        found = self.storage.read_many([marker_key(name, shard) for name in names])
        return [name for name, raw in zip(names, found, strict=True) if raw is None]

    def unmark(self, name: str, shard: int) -> None:
        """Declare a shard unfinished, before it is redone."""
        self.storage.delete(marker_key(name, shard))

    def damaged(self, marker: Marker) -> list[str]:
        """Return the files, and the paths of the arrays, that are not what the marker vouches for.

        An array whose description, or that of a group above it, is wrong is not looked into.
        """
        contents = zip(marker.files.items(), self.storage.read_many(marker.files), strict=True)
        wrong = [key for (key, want), raw in contents if raw is None or file_checksum(raw) != want]
        paths = [path for path in sorted(marker.checksums) if set(wrong).isdisjoint(_descriptions(path))]
        rows = slice(marker.first_row, marker.first_row + marker.rows)
        for path in paths:
            try:
                got = checksum(self.storage.open_array(path).read(rows))
            except InputError:
                got = ""
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EIO):
                    raise
                got = ""
            if got != marker.checksums[path]:
                wrong.append(path)
        return wrong

    def _descriptions(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the checksums of the files that describe arrays and the groups above them."""
        keys = sorted({key for path in paths for key in _descriptions(path)})
        contents = zip(keys, self.storage.read_many(keys) if keys else [], strict=True)
        return {key: file_checksum(raw) for key, raw in contents if raw is not None}


def _descriptions(path: str) -> list[str]:
    """Return the keys of the files that describe an array and the groups above it.

    Example:
        >>> _descriptions("maps/sg")
        ['zarr.json', 'maps/zarr.json', 'maps/sg/zarr.json']
    """
    parts = path.split("/")
    return ["/".join([*parts[:depth], "zarr.json"]) for depth in range(len(parts) + 1)]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise InputError(f"ledger: a marker holds plain values only, got {type(value).__name__}.")


def _folder(name: str) -> str:
    if not all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", part) for part in name.split("/")):
        raise InputError(f"ledger: {name!r} cannot name results; use letters, digits, '_', '.', '+' and '-'.")
    return f"done/{name}/"


def marker_key(name: str, shard: int) -> str:
    """Return the key of a marker."""
    return f"{_folder(name)}{shard:06d}.json"


def _is_marker(key: str) -> bool:
    return re.fullmatch(r"\d+\.json", key.rpartition("/")[2]) is not None


def _parse(raw: bytes, where: str, name: str, shard: int) -> Marker | InputError:
    try:
        content = unsealed(raw)
        known = {entry.name for entry in fields(Marker)}
        marker = Marker(**{key: value for key, value in content.items() if key in known})
        valid = marker.name == name and marker.shard == shard and marker.first_row >= 0 and marker.rows >= 1
    except (ValueError, TypeError, AttributeError):
        valid = False
    if not valid:
        return InputError(f"{where}: not a marker of shard {shard} of {name!r}; delete the file to redo the shard.")
    return marker
