"""Global maps from stored maps: count, mean and variance per group, in float64 and in the order of the rows.

Rows are read in blocks whose size follows from the shape of a map alone, never from shards, batches or workers, and
merged in order: the result is the same to the last bit however the store came about, and a repaired shard needs
nothing but another call. Maps are decoded to float32 and go through the steps in float64.

Only images with status 0 count. A map that is NaN although its image is sound is a fault of its method: it is counted
in the attributes and makes the groups it belongs to NaN, and no others.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, prod
from typing import Any, Protocol, TypeVar

import numpy as np

from jaxplain._errors import InputError
from jaxplain.aggregate.groups import Grouping, Select, merge_groups
from jaxplain.aggregate.moments import Moments
from jaxplain.aggregate.percentile import largest, percentile
from jaxplain.core.maps import MapSteps, divide
from jaxplain.engine.ahead import read_ahead
from jaxplain.engine.events import Advanced, Started, Watcher, unwatched

BLOCK_VALUES = 1 << 20
"""Values per block, which is read and summarized as a whole: 8 MB in float64."""
PIECE_VALUES = 1 << 16
"""Values that go through the steps together: 0.5 MB in float64."""
THREADS = min(4, os.cpu_count() or 1)
Result = TypeVar("Result")


class StoredMaps(Protocol):
    """The decoded maps of one method, read by rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(images, [targets,] *space[, channels])``."""
        ...

    @property
    def dims(self) -> tuple[str, ...]:
        """Name of each axis: "image", "target", the axes of space, and "c" or "channel"."""
        ...

    def __getitem__(self, rows: slice) -> np.ndarray: ...


class OpenStore(Protocol):
    """What is read of a store."""

    def maps(self, name: str) -> StoredMaps:
        """Return the maps of a method; rows of unfinished shards are refused."""
        ...

    def rows(self, field: str) -> np.ndarray:
        """Return one number per image."""
        ...


WriteGroups = Callable[[str, Sequence[str], Mapping[str, np.ndarray], Mapping[str, Any], Sequence[str]], None]
"""(method, group names, arrays by field with groups first, attributes, names of the axes of one map)."""


@dataclass(frozen=True, eq=False)
class GlobalMaps:
    """The global maps of one method.

    Args:
        groups: Names; see ``jaxplain.aggregate.groups``.
        count: ``(groups,)`` int64.
        mean: ``(groups, *space)`` float64, NaN where a group has no images.
        variance: The same for the population variance.
        attributes: The steps and choices made, the numbers of images, and why maps are NaN.
        dimensions: Names of the axes of one map.
    """

    groups: tuple[str, ...]
    count: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    attributes: dict[str, Any]
    dimensions: tuple[str, ...]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by the name of their field."""
        return {"count": self.count, "mean": self.mean, "variance": self.variance}


def finalize(
    store: OpenStore,
    write: WriteGroups,
    *,
    methods: Sequence[str],
    n_labels: int,
    steps: MapSteps = MapSteps(),  # noqa: B008  a frozen value
    select: Select = "true",
    exclude: tuple[int, ...] = (),
    watch: Watcher = unwatched,
) -> dict[str, GlobalMaps]:
    """Compute and write the global maps of finished methods.

    Args:
        store: An open store with ``rows/label``, ``rows/prediction`` and ``rows/status``.
        write: Replaces the global maps of one method.
        methods: Names of the methods.
        n_labels: Number of labels.
        steps: Sign, pooling and scale.
        select: Which images belong to a label.
        exclude: Labels left out of the macro map.
        watch: Called with events.

    Returns:
        The global maps by method.

    Raises:
        InputError: Unfinished shards, or labels or targets that do not fit.
    """
    labels, predictions, status = (store.rows(field) for field in ("label", "prediction", "status"))
    made = {}
    for name in methods:
        maps = store.maps(name)
        watch(Started("aggregate", len(status), facts={"method": name}))
        made[name] = global_maps(
            maps, labels, predictions, status,
            n_labels=n_labels, steps=steps, select=select, exclude=exclude, watch=watch,
        )  # fmt: skip
        write(name, made[name].groups, made[name].arrays, made[name].attributes, made[name].dimensions)
    return made


def global_maps(
    maps: StoredMaps,
    labels: np.ndarray,
    predictions: np.ndarray,
    status: np.ndarray,
    *,
    n_labels: int,
    steps: MapSteps = MapSteps(),  # noqa: B008  a frozen value
    select: Select = "true",
    exclude: tuple[int, ...] = (),
    watch: Watcher = unwatched,
) -> GlobalMaps:
    """Compute the global maps of one method; see ``finalize``."""
    stream = _Stream(maps, np.asarray(status) == 0, steps)
    if stream.targets and maps.shape[1] != n_labels:
        raise InputError(
            f"finalize: maps explain {maps.shape[1]} targets but there are {n_labels} labels; "
            "explain all logits, or one score per image."
        )
    grouping = Grouping(n_labels, select, stream.targets, exclude)
    divisor = stream.divisor()
    found: dict[str, Moments] = {}

    def summarize(rows: slice, block: np.ndarray) -> dict[str, Moments]:
        block = block if divisor is None else divide(block, np.float64(divisor))
        return grouping.moments(block, labels[rows], predictions[rows], stream.valid[rows])

    for rows, part in stream.blocks(summarize):
        found = merge_groups(found, part)
        watch(Advanced("aggregate", rows.stop - rows.start))
    facts = {**describe_images(status), "dataset_scale": divisor, "nan_maps": stream.nan_maps}
    return assemble(found, grouping, steps, stream.space, stream.space_names, facts)


def assemble(
    found: Mapping[str, Moments],
    grouping: Grouping,
    steps: MapSteps,
    space: tuple[int, ...],
    dimensions: tuple[str, ...],
    facts: Mapping[str, Any],
) -> GlobalMaps:
    """Put global maps together: groups without images, the macro map, and why maps are NaN.

    Args:
        found: Moments by group.
        grouping: The groups.
        steps: What the maps went through.
        space: Shape of one global map.
        dimensions: Names of its axes.
        facts: Further attributes.
    """
    whole = grouping.complete(found, space)
    attributes = {
        "steps": asdict(steps),
        "select": grouping.select,
        "exclude": list(grouping.exclude),
        "reasons": {name: "no images" for name, moments in whole.items() if not moments.count},
        **facts,
    }
    return GlobalMaps(
        grouping.names,
        np.array([moments.count for moments in whole.values()], np.int64),
        np.stack([moments.mean for moments in whole.values()]),
        np.stack([moments.variance for moments in whole.values()]),
        attributes,
        dimensions,
    )


def describe_images(status: np.ndarray) -> dict[str, Any]:
    """Count the images that enter, and all by their status."""
    codes, counts = np.unique(status, return_counts=True)
    by_code = {str(code): int(count) for code, count in zip(codes, counts, strict=True)}
    return {"images": by_code.get("0", 0), "status": by_code}


class _Stream:
    """Blocks of maps after the steps, rows in order."""

    def __init__(self, maps: StoredMaps, valid: np.ndarray, steps: MapSteps):
        dims = tuple(maps.dims)
        self.targets = "target" in dims
        self._channels = dims[-1] in ("c", "channel")
        first = 2 if self.targets else 1
        last = len(dims) - int(self._channels)
        self.space, self.space_names = tuple(maps.shape[first:last]), dims[first:last]
        self.valid, self._maps, self._steps = valid, maps, steps
        self.nan_maps = 0

    def blocks(self, work: Callable[[slice, np.ndarray], Result]) -> Iterator[tuple[slice, Result]]:
        """Yield rows and what ``work`` makes of them and their maps after the steps, in order; several at once.

        Maps are float64; those of images that do not count are zeros.
        """

        def one(rows: slice) -> tuple[Result, int]:
            values, n_nan = self._through_steps(self._maps[rows], self.valid[rows])
            return work(rows, values), n_nan

        n, size = len(self.valid), max(1, BLOCK_VALUES // max(1, prod(self._maps.shape[1:])))
        self.nan_maps = 0
        slices = [slice(first, min(first + size, n)) for first in range(0, n, size)]
        for rows, (result, n_nan) in read_ahead(one, slices, depth=THREADS, threads=THREADS):
            self.nan_maps += n_nan
            yield rows, result

    def _through_steps(self, raw: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, int]:
        """Apply the steps in pieces that stay in the processor's cache; return the maps and how many hold NaN."""
        result = np.empty((*raw.shape[: 1 + int(self.targets)], *self.space))
        size, n_nan = max(1, PIECE_VALUES // max(1, prod(raw.shape[1:]))), 0
        for first in range(0, len(raw), size):
            piece = slice(first, first + size)
            values = np.array(raw[piece], np.float64)
            values[~valid[piece]] = 0.0
            n_nan += int(np.isnan(values).any(axis=tuple(range(1, values.ndim))).sum())
            result[piece] = self._steps(values, channel_axis=self._channels, map_axes=len(self.space))
        return result, n_nan

    def divisor(self) -> float | None:
        """Find the one number that all maps are divided by, if the scale asks for it."""
        if not self._steps.per_dataset:
            return None

        def sound() -> Iterator[np.ndarray]:
            for _, block in self.blocks(lambda rows, block: block[self.valid[rows]]):
                yield block

        found = largest(sound) if self._steps.scale == "dataset_max" else percentile(sound, 99.0)
        return None if isnan(found) else found
