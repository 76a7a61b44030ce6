"""The plan of a run: batch, chunk, precision and rows per shard.

A plan is made once, when a store is created, and stands in its manifest, so that a resumed run compiles the same
program. Batch and chunk follow from a memory budget and the traced gradient alone; a trial on the device confirms
them and measures how many rows a shard should hold.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import jax
import numpy as np

from jaxplain._errors import InputError
from jaxplain.core.score import Score
from jaxplain.core.targets import Predicted
from jaxplain.engine.memory import bytes_per_sample, parse_bytes
from jaxplain.engine.precision import Precision

LARGEST_TILE = {"cpu": 128}
"""Gradients evaluated at once, beyond which a device gains nothing: measured for CPUs, generous elsewhere."""
SHARD_BYTES = 200_000_000
SHARD_SECONDS = 60.0

StoreKind = Literal["float16", "float32", "none"]


@dataclass(frozen=True)
class Tile:
    """Images per step and samples per chunk; on each device their product is the number of gradients held at once."""

    batch: int
    chunk: int


@dataclass(frozen=True)
class Plan:
    """What is fixed when a store is created.

    Args:
        batch: Images per compiled step.
        chunk: Samples, steps or masks evaluated together.
        precision: "exact", "fast" or "bf16".
        rows_per_shard: Images per shard, a multiple of the batch.
        store: How maps are kept: "float16" with a scale per map, "float32", or "none".
        together: Methods that share one program with the clean pass.
        devices: How many devices share out a batch, each as many images.
        coarse: Whether maps that end in an upsampling are stored without it; see ``jaxplain.engine.coarse``.
    """

    batch: int
    chunk: int
    precision: Precision
    rows_per_shard: int
    store: StoreKind = "float16"
    together: tuple[str, ...] = ()
    devices: int = 1
    coarse: bool = False

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Plan":
        """Return the plan that stands in a manifest."""
        return cls(**{**record, "together": tuple(record.get("together", ()))})

    def record(self) -> dict[str, Any]:
        """Return the plan as it stands in the manifest."""
        return asdict(self)


def choose_tile(
    score: Score, x: jax.ShapeDtypeStruct, n: int, memory: str | int, batch: int | None = None, devices: int = 1
) -> Tile:
    """Choose images per step and samples per chunk from a memory budget.

    Args:
        score: Score of a batch, as ``select_images`` makes it.
        x: Shape and dtype of one example.
        n: Number of images.
        memory: Budget of each device in bytes, or a text such as "2GiB".
        batch: Images per step, when the caller decides; rounded up to a multiple of the devices.
        devices: How many share out a batch.

    Raises:
        InputError: The budget does not hold one gradient, or batch is below 1.
    """
    budget = parse_bytes(memory)
    target, extras = jax.tree.map(lambda leaf: leaf[0], (score.target, score.extras))
    if isinstance(target, Predicted):
        target = target.of(np.int32(0))
    one = Score(score.model, target, extras)
    need = bytes_per_sample(one, x)
    if batch is not None and batch < 1:
        raise InputError(f"plan: batch = {batch} must be at least 1.")
    if need > budget:
        raise InputError(
            f"plan: one gradient needs up to {need:,} bytes, more than the budget of {budget:,}; raise memory."
        )
    tile = min(budget // need, LARGEST_TILE.get(jax.default_backend(), 1024))
    share = min(-(-n // devices), tile) if batch is None else -(-batch // devices)
    return Tile(share * devices, max(1, tile // share))


def rows_per_shard(batch: int, bytes_per_row: int, seconds_per_row: float, n: int) -> int:
    """Return a multiple of the batch: at most 200 MB of arrays and about a minute of work.

    Example:
        >>> rows_per_shard(64, 1000, 0.001, 10_000)
        10048
    """
    most = min(SHARD_BYTES / max(1, bytes_per_row), SHARD_SECONDS / max(seconds_per_row, 1e-9), n)
    batches = max(1, int(most // batch))
    return min(batches + (most == n and most % batch > 0), -(-n // batch)) * batch
