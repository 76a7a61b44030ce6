"""Where the scores of a sweep are kept: in memory, or in a store, shard by shard with a marker written last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np

from jaxplain.engine.spool import Spool
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.inspection import RESULTS
from jaxplain.io.ledger import Marker, checksum, file_checksum
from jaxplain.io.sink import Sink

NAME = "peppr"
MEASURED = ("entry", "mode", "fraction", "label_or_macro")
"""Axes of a measure: the entries of the results' orders, of which ``scores`` holds those that could be swept."""


class Scores(Protocol):
    """Scores under way, shard by shard."""

    def open(self, n: int, shape: tuple[int, ...], shard_rows: int, identity: str, rows: np.ndarray) -> None:
        """Begin, or go on with what has the same identity.

        Args:
            n: Number of images.
            shape: ``(orders, modes, steps, labels)``.
            shard_rows: Images per shard.
            identity: Hash of everything that decides the scores.
            rows: Row of each image in the source.
        """
        ...

    @property
    def count(self) -> int:
        """How many shards there are."""
        ...

    def finished(self) -> set[int]:
        """Return the finished shards."""
        ...

    def lacks(self, shard: int) -> bool:
        """Tell whether a shard is unfinished."""
        ...

    def put(self, shard: int, first: int, scores: np.ndarray, ends: np.ndarray) -> None:
        """Keep a shard: ``(rows, *shape)``, and ``(rows, 2, labels)`` of the full and the blank images."""
        ...

    def spool(self) -> Spool:
        """Return all scores, to be read label by label; every shard must be finished."""
        ...

    def publish(self, results: bytes, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep the results (JSON) and measures by name, each ``(orders, modes, fractions, labels + 1)``."""
        ...


class ScoresInMemory:
    """Scores that end with the process."""

    count = 0
    """How many shards there are."""

    def open(self, n: int, shape: tuple[int, ...], shard_rows: int, identity: str, rows: np.ndarray) -> None:
        """Begin."""
        orders, _, steps, labels = shape
        self._spool, self._finished = Spool(n, orders, steps, labels), set[int]()
        self.count = -(-n // shard_rows)

    def finished(self) -> set[int]:
        """Return the finished shards."""
        return self._finished

    def lacks(self, shard: int) -> bool:
        """Tell whether a shard is unfinished."""
        return shard not in self._finished

    def put(self, shard: int, first: int, scores: np.ndarray, ends: np.ndarray) -> None:
        """Keep a shard."""
        self._spool.put(first, scores, ends)
        self._finished.add(shard)

    def spool(self) -> Spool:
        """Return all scores."""
        return self._spool

    def publish(self, results: bytes, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep nothing: the caller has the results."""


class Place(Protocol):
    """The storage of a store, as far as scores need it."""

    def node(self, path: str) -> dict[str, Any] | None:
        """Return the metadata of a group, or None."""
        ...

    def open_array(self, path: str) -> Any:
        """Return an array with ``read(slice)``."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write or replace a key."""
        ...

    def delete_all(self, prefix: str) -> None:
        """Delete every key that starts with a prefix."""
        ...


class Markers(Protocol):
    """Which shards are finished."""

    def finished(self, name: str) -> dict[int, Marker]:
        """Return the markers of a name by shard."""
        ...

    def mark(self, marker: Marker) -> bool:
        """Create a marker, last."""
        ...

    def unmark(self, name: str, shard: int) -> None:
        """Delete a marker, before what it vouches for is replaced."""
        ...

    def lacking(self, names: Sequence[str], shard: int) -> list[str]:
        """Return those of some names that have no marker for a shard."""
        ...


@dataclass
class StoredScores:
    """Scores in a store, under ``peppr/``.

    Args:
        storage: Keys and arrays of the store.
        sink: Writes whole shards.
        ledger: Knows the finished shards.
    """

    storage: Place
    sink: Sink
    ledger: Markers
    _shape: tuple[int, ...] = field(default=(), init=False)
    _rows: int = field(default=0, init=False)
    _shard_rows: int = field(default=0, init=False)
    _identity: str = field(default="", init=False)

    def open(self, n: int, shape: tuple[int, ...], shard_rows: int, identity: str, rows: np.ndarray) -> None:
        """Begin, go on with what has the same identity, or replace what has another."""
        self._shape, self._rows, self._shard_rows, self._identity = shape, n, shard_rows, identity
        there = self.storage.node(NAME)
        attributes = {"identity": identity, "images": n, "shard_rows": shard_rows}
        if there is not None and there.get("attributes") != attributes:
            # Markers go first: what they vouch for is deleted next.
            self.storage.delete_all(f"done/{NAME}/")
            self.storage.delete_all(f"{NAME}/")
        axes = {"scores": ("image", "order", "mode", "step", "label"), "ends": ("image", "end", "label")}
        shapes = {"scores": shape, "ends": (2, shape[-1])}
        specs = [
            ArraySpec(f"{NAME}/{name}", (n, *one), np.float32, axes[name], shard_rows, (shard_rows, *one[:-1], 1))
            for name, one in shapes.items()
        ]
        specs.append(ArraySpec(f"{NAME}/rows", (n,), np.int64, ("image",), n, (n,)))
        self.sink.create(specs, {NAME: attributes})
        self.sink.write(f"{NAME}/rows", 0, rows.astype(np.int64)).result()

    def finished(self) -> set[int]:
        """Return the finished shards."""
        return {shard for shard, marker in self.ledger.finished(NAME).items() if marker.hash == self._identity}

    @property
    def count(self) -> int:
        """How many shards there are."""
        return -(-self._rows // self._shard_rows)

    def lacks(self, shard: int) -> bool:
        """Tell whether a shard is unfinished."""
        return bool(self.ledger.lacking([NAME], shard))

    def put(self, shard: int, first: int, scores: np.ndarray, ends: np.ndarray) -> None:
        """Write a shard, wait until it is durable, and mark it."""
        arrays = {f"{NAME}/scores": scores, f"{NAME}/ends": ends}
        for pending in [self.sink.write(path, first, values) for path, values in arrays.items()]:
            pending.result()
        sums = {path: checksum(values) for path, values in arrays.items()}
        device = jax.devices()[0].device_kind
        self.ledger.mark(Marker(NAME, shard, first, len(scores), sums, hash=self._identity, device=device))

    def spool(self) -> Spool:
        """Read the scores, every shard once."""
        orders, _, steps, labels = self._shape
        spool = Spool(self._rows, orders, steps, labels)
        scores, ends = (self.storage.open_array(f"{NAME}/{name}") for name in ("scores", "ends"))
        for first in range(0, self._rows, self._shard_rows):
            part = slice(first, min(first + self._shard_rows, self._rows))
            spool.put(first, scores.read(part), ends.read(part))
        return spool

    def publish(self, results: bytes, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the measures, then the results; a marker comes last."""
        self.ledger.unmark(RESULTS, 0)
        for name, values in arrays.items():
            path = f"{NAME}/{name}"
            self.storage.delete_all(f"{path}/")
            self.sink.create([ArraySpec(path, values.shape, values.dtype, MEASURED, len(values), values.shape)])
            self.sink.write(path, 0, values).result()
        key, entries = f"{RESULTS}.json", len(next(iter(arrays.values())))
        self.storage.write(key, results)
        sums = {f"{NAME}/{name}": checksum(values) for name, values in arrays.items()}
        self.ledger.mark(Marker(RESULTS, 0, 0, entries, sums, files={key: file_checksum(results)}))
