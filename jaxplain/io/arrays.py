"""The description of one stored array: zarr version 3, sharded along the first axis.

A shard holds ``shard_rows`` whole rows and is one file; inside, a chunk (by default one row) is what a reader fetches.
Chunks are compressed by zstd and guarded by crc32c, missing chunks read as the fill value: NaN for floats, 0 else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxplain._errors import InputError

DTYPES = ("float16", "float32", "float64", "bool", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)))


@dataclass(frozen=True)
class ArraySpec:
    """One array of a store.

    Args:
        path: Place inside the store, such as ``maps/smoothgrad/value``.
        shape: Shape with the images (or groups) as first axis.
        dtype: A NumPy dtype or its name.
        dimensions: A name per axis, such as ``("image", "y", "x")``.
        shard_rows: Rows per shard; the last shard may be partial.
        chunk: Shape of what is read at once; divides ``(shard_rows, *shape[1:])``. Default one row.
        fill: Value of what was never written; default NaN for floats and 0 for all else.
        attributes: JSON values kept in the array's metadata.
    """

    path: str
    shape: tuple[int, ...]
    dtype: Any
    dimensions: tuple[str, ...]
    shard_rows: int
    chunk: tuple[int, ...] | None = None
    fill: float | int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"array {self.path!r}"
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "dimensions", tuple(self.dimensions))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        object.__setattr__(self, "shard_rows", int(self.shard_rows))
        if self.dtype.name not in DTYPES:
            raise InputError(f"{where}: dtype {self.dtype} cannot be stored; use one of {', '.join(DTYPES)}.")
        if not self.shape or min(self.shape) < 1:
            raise InputError(f"{where}: expected a shape of positive sizes, got {self.shape}.")
        if len(self.dimensions) != len(self.shape):
            raise InputError(f"{where}: {len(self.shape)} axes need as many names, got {self.dimensions}.")
        if self.shard_rows < 1:
            raise InputError(f"{where}: shard_rows must be at least 1, got {self.shard_rows}.")
        chunk = (1, *self.shape[1:]) if self.chunk is None else tuple(int(n) for n in self.chunk)
        object.__setattr__(self, "chunk", chunk)
        if len(chunk) != len(self.shape) or any(c < 1 or n % c for n, c in zip(self.shard, chunk, strict=True)):
            raise InputError(f"{where}: chunk {chunk} does not divide the shard {self.shard}.")

    @property
    def shard(self) -> tuple[int, ...]:
        """Shape of a whole shard."""
        return (self.shard_rows, *self.shape[1:])

    @property
    def n_shards(self) -> int:
        """Number of shards, the last of which may be partial."""
        return -(-self.shape[0] // self.shard_rows)

    def metadata(self) -> dict[str, Any]:
        """Return the content of the array's ``zarr.json``."""
        order = [{"name": "bytes", "configuration": {"endian": "little"}}]
        guarded = [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}, {"name": "crc32c"}]
        sharding = {
            "chunk_shape": list(self.chunk or ()),
            "codecs": order + guarded,
            "index_codecs": [*order, {"name": "crc32c"}],
            "index_location": "end",
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.shard)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": self._fill(),
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": dict(self.attributes),
            "dimension_names": list(self.dimensions),
        }

    def _fill(self) -> Any:
        kind = self.dtype.kind
        fill = self.fill if self.fill is not None else (float("nan") if kind == "f" else 0)
        if kind == "b":
            return bool(fill)
        if kind in "iu":
            return int(fill)
        value = float(fill)
        if value != value:
            return "NaN"
        return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")
