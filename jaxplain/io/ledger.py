"""Which shards are finished: one marker per name and shard, created exclusively after everything else is durable.

Data without a marker count as missing. Markers are small JSON files at ``done/<name>/<shard>.json``.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.claims import claim
from jaxplain.io.storage import Storage


def checksum(values: np.ndarray) -> str:
    """Return the SHA-256 of the values' bytes in row-major order, as a marker stores it.

    Example:
        >>> checksum(np.zeros(2, np.float16))[:23]
        'sha256:df3f619804a92fdb'
    """
    return "sha256:" + hashlib.sha256(np.ascontiguousarray(values).view(np.uint8).data).hexdigest()


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
    """

    name: str
    shard: int
    first_row: int
    rows: int
    checksums: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""
    device: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


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
        prefix = _folder(name)
        keys = [key for key in self.storage.list(prefix) if _is_marker(key) and key.count("/") == prefix.count("/")]
        found = {}
        for key, raw in zip(keys, self.storage.read_many(keys), strict=True):
            if raw is not None:  # deleted since it was listed
                marker = _parse(raw, self.storage.where(key), name, int(key[len(prefix) : -len(".json")]))
                found[marker.shard] = marker
        return dict(sorted(found.items()))

    def mark(self, marker: Marker) -> bool:
        """Declare a shard finished; call it last. False when another worker has done so already."""
        # The nonce tells one's own marker, whose answer was lost on the way, from another worker's.
        content = {**asdict(marker), "nonce": uuid.uuid4().hex}
        text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False, default=_plain)
        return claim(self.storage, _key(marker.name, marker.shard), text.encode())

    def lacking(self, names: Sequence[str], shard: int) -> list[str]:
        """Return those of some names that have no marker for a shard."""
        found = self.storage.read_many([_key(name, shard) for name in names])
        return [name for name, raw in zip(names, found, strict=True) if raw is None]

    def unmark(self, name: str, shard: int) -> None:
        """Declare a shard unfinished, before it is redone."""
        self.storage.delete(_key(name, shard))

    def damaged(self, marker: Marker) -> list[str]:
        """Return the paths of the arrays whose stored rows are not those that the marker vouches for."""
        rows = slice(marker.first_row, marker.first_row + marker.rows)
        wrong = []
        for path, want in marker.checksums.items():
            try:
                got = checksum(self.storage.open_array(path).read(rows))
            except (InputError, FileNotFoundError):
                got = ""
            if got != want:
                wrong.append(path)
        return wrong


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


def _key(name: str, shard: int) -> str:
    return f"{_folder(name)}{shard:06d}.json"


def _is_marker(key: str) -> bool:
    return re.fullmatch(r"\d+\.json", key.rpartition("/")[2]) is not None


def _parse(raw: bytes, where: str, name: str, shard: int) -> Marker:
    try:
        content = json.loads(raw)
        known = {entry.name for entry in fields(Marker)}
        marker = Marker(**{key: value for key, value in content.items() if key in known})
        valid = marker.name == name and marker.shard == shard and marker.first_row >= 0 and marker.rows >= 1
    except (ValueError, TypeError, AttributeError):
        valid = False
    if not valid:
        raise InputError(f"{where}: not a marker of shard {shard} of {name!r}; delete the file to redo the shard.")
    return marker
