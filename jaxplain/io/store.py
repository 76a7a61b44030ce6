"""A store opened for reading: maps, rows per image, global maps, scores. Nothing named in a store is imported."""

import errno
import json
import os
from typing import Any

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.io.groups import read_groups
from jaxplain.io.index import Index, parse_index
from jaxplain.io.ledger import Ledger
from jaxplain.io.manifest import read_manifest
from jaxplain.io.maparray import MapArray, ShardedRows, row_numbers
from jaxplain.io.storage import Storage
from jaxplain.io.storedarray import StoredArray
from jaxplain.io.upsampling import Upsampling

ROWS = "rows"
"""The name under which the clean pass marks the shards of ``rows/*``."""
INDEX = "index.npz"


class Store:
    """A finished or growing store; markers are looked up anew at each question."""

    def __init__(self, storage: Storage):
        self.storage = storage
        self.ledger = Ledger(storage)
        self.manifest = read_manifest(storage)
        """The manifest as JSON values."""

    def __repr__(self) -> str:
        return f"Store({self.storage.url!r}, methods={list(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Methods of the store, finished or not, also where only their global maps are kept."""
        return tuple(name for name in self._nodes("maps/", "/zarr.json") if "/" not in name)

    @property
    def keeps_maps(self) -> bool:
        """Whether maps are kept, not only what is made of them."""
        return self.manifest.get("plan", {}).get("store") != "none"

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that `rows` can return, such as ``label``, ``status`` and ``gap/<method>``."""
        found = self._nodes("rows/", "/zarr.json")
        nodes = ((name, self.storage.node(f"rows/{name}") or {}) for name in found)
        return tuple(name for name, node in nodes if node.get("node_type") == "array")

    def finished(self, name: str) -> tuple[int, ...]:
        """Return the finished shards of a method, of ``"rows"``, or of any other name of the ledger."""
        return tuple(self.ledger.finished(name))

    def complete(self, name: str) -> bool:
        """Tell whether every shard of a method (or of ``"rows"``) is finished."""
        array = self._one_array(name)
        return set(range(-(-array.shape[0] // array.shard_rows))) <= set(self.finished(name))

    def maps(self, name: str, *, missing: str = "error") -> MapArray:
        """Return the decoded maps of a method, read when indexed, at the size that the method has them.

        Args:
            name: The method.
            missing: ``"error"`` refuses rows of unfinished shards, ``"nan"`` returns NaN for them.

        Raises:
            InputError: The store has no such method (the nearest are named), or keeps no maps.
        """
        path = f"maps/{self._known(name)}"
        if not self.keeps_maps:
            raise InputError(
                f"{self.storage.url}: the store keeps no maps (plan.store = 'none'); run again with 'float16'."
            )
        value = self.storage.open_array(f"{path}/value")
        scale = self.storage.open_array(f"{path}/scale") if self.storage.node(f"{path}/scale") is not None else None
        attributes = (self.storage.node(f"{path}/value") or {}).get("attributes", {})
        upsampling = Upsampling.of(attributes, self.storage.where(f"{path}/value"))
        return MapArray(value, scale, self.finished(name), missing, self.storage.where(path), upsampling)

    def rows(self, field: str, *, rows: Any = slice(None), missing: str = "error") -> np.ndarray:
        """Return one number per image.

        Args:
            field: Such as ``label``, ``prediction``, ``status``, ``gap/<method>``.
            rows: Which images: a slice, numbers or a mask.
            missing: ``"error"`` refuses rows of unfinished shards, ``"fill"`` returns NaN (0 for whole numbers).

        Raises:
            InputError: No such field, or unfinished shards.
        """
        if missing not in ("error", "fill"):
            raise InputError(f"rows: missing must be 'error' or 'fill', got {missing!r}.")
        if self.storage.node(f"rows/{field}") is None:
            raise unknown(self.storage.where("rows"), "field", field, self.fields)
        array = self.storage.open_array(f"rows/{field}")
        kept = ShardedRows(array, self.finished(_writer(field)), missing, self.storage.where(f"rows/{field}"))
        return kept.read(row_numbers(rows, array.shape[0]))[0]

    def finished_rows(self, name: str = ROWS) -> np.ndarray:
        """Return which images have their results of a name: a mask (N,)."""
        mask = np.zeros(self._one_array(name).shape[0], bool)
        for marker in self.ledger.finished(name).values():
            mask[marker.first_row : marker.first_row + marker.rows] = True
        return mask

    def globals(self, name: str) -> dict[str, Any]:
        """Return ``groups``, ``count``, ``mean``, ``variance`` and ``attributes`` of a method's global maps.

        Raises:
            InputError: They have not been computed.
        """
        return read_groups(self.storage, self._known(name))

    def has_globals(self, name: str) -> bool:
        """Tell whether the global maps of a method have been computed."""
        return bool(self.ledger.finished(f"global/{name}"))

    def peppr(self) -> dict[str, Any] | None:
        """Return the results of the sweeps, or None when there are none."""
        raw = self.storage.read("peppr/results.json")
        if raw is None:
            return None
        try:
            return dict(json.loads(raw))
        except ValueError as error:
            where = self.storage.where("peppr/results.json")
            raise InputError(f"{where}: not valid JSON ({error}); delete it and run `jaxplain peppr` again.") from error

    @property
    def index(self) -> Index | None:
        """The index of the source, or None when the store has none."""
        raw = self.storage.read(INDEX)
        return None if raw is None else parse_index(raw, self.storage.where(INDEX))

    def _nodes(self, prefix: str, end: str) -> tuple[str, ...]:
        found = (key[len(prefix) : -len(end)] for key in self.storage.list(prefix) if key.endswith(end))
        return tuple(name for name in found if name)

    def _one_array(self, name: str) -> StoredArray:
        """Return an array with the rows and shards of a name."""
        kept = name != ROWS and self._known(name) and self.keeps_maps
        return self.storage.open_array(f"maps/{name}/value" if kept else f"rows/{self._any_field()}")

    def _any_field(self) -> str:
        fields = self.fields
        if not fields:
            raise InputError(f"{self.storage.where('rows')}: the store holds no rows; start the run first.")
        return "status" if "status" in fields else fields[0]

    def _known(self, name: str) -> str:
        names = self.names
        if name not in names:
            raise unknown(self.storage.url, "method", name, names)
        return name


def _writer(field: str) -> str:
    # Fields of one method, such as gap/<method>, are written and marked together with its maps.
    _, _, method = field.rpartition("/")
    return method if "/" in field else ROWS


def open_store(url: str | os.PathLike[str]) -> Store:
    """Open a store for reading.

    Args:
        url: A path, or a ``file://``, ``s3://``, ``gs://`` or ``memory://`` address.

    Raises:
        InputError: There is no store, or one of another format version.
    """
    try:
        return Store(Storage.open(url))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise InputError(f"{os.fspath(url)}: no store here; check the path.") from error
        raise
