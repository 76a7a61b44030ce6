"""What a shard leaves where maps are not kept: moments of the groups present in it, and global maps from those.

Maps go through the steps while the shard is worked on, so steps and selection are fixed when the run begins, and a
scale over the whole data set, which takes a pass of its own, cannot be had. A shard's partial is one ``.npz`` of plain
arrays; shards are merged in their order.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.aggregate.groups import Grouping, merge_groups
from jaxplain.aggregate.moments import Moments
from jaxplain.core.maps import MapSteps
from jaxplain.engine.finalize import GlobalMaps, WriteGroups, assemble, describe_images

FIELDS = ("count", "mean", "m2")


def partial_key(method: str, shard: int) -> str:
    """Return the key of a shard's partial."""
    return f"partials/{method}/{shard:06d}.npz"


def partial_moments(
    maps: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    status: np.ndarray,
    *,
    grouping: Grouping,
    steps: MapSteps,
    channel_axis: bool,
) -> dict[str, Moments]:
    """Summarize the maps of a batch or a shard; merge batches with ``merge_groups``.

    Args:
        maps: ``(n, [targets,] *space[, channels])``, raw.
        labels: Of these images; see ``Grouping.moments``.
        predictions: The same for the predicted labels.
        status: ``(n,)``; images with another than 0 are left out.
        grouping: The groups.
        steps: Sign, pooling and scale of each map.
        channel_axis: Whether the last axis holds channels.

    Raises:
        InputError: For a scale over the whole data set.
    """
    if steps.per_dataset:
        raise InputError(
            f"aggregate: scale {steps.scale!r} needs a second pass over stored maps; keep them with "
            "store = 'float16', or choose a scale per map."
        )
    valid = np.asarray(status) == 0
    values = np.array(maps, np.float64)
    values[~valid] = 0.0
    map_axes = values.ndim - 1 - int(grouping.targets) - int(channel_axis)
    values = steps(values, channel_axis=channel_axis, map_axes=map_axes)
    return grouping.moments(values, labels, predictions, valid)


def pack(found: Mapping[str, Moments]) -> bytes:
    """Write the moments of a shard as the bytes of an ``.npz``."""
    arrays = {f"{name}/{field}": np.asarray(getattr(part, field)) for name, part in found.items() for field in FIELDS}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def unpack(data: bytes) -> dict[str, Moments]:
    """Read what ``pack`` wrote.

    Raises:
        InputError: If the bytes are anything else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            names = dict.fromkeys(key.rpartition("/")[0] for key in arrays.files)
            parts = {name: [arrays[f"{name}/{field}"] for field in FIELDS] for name in names}
            return {name: Moments(int(count), mean, m2) for name, (count, mean, m2) in parts.items()}
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"partials: not the moments of a shard ({error}); delete the shard's marker to redo it."
        ) from error


def merged_maps(
    parts: Iterable[Mapping[str, Moments]],
    status: np.ndarray,
    *,
    grouping: Grouping,
    steps: MapSteps,
    space: tuple[int, ...],
    dimensions: tuple[str, ...],
) -> GlobalMaps:
    """Make global maps from the partials of all shards, in their order.

    Args:
        parts: The shards' moments.
        status: ``(N,)`` of all images.
        grouping: As for the shards.
        steps: As for the shards.
        space: Shape of one global map.
        dimensions: Names of its axes.
    """
    found: dict[str, Moments] = {}
    for part in parts:
        found = merge_groups(found, part)
    return assemble(found, grouping, steps, space, dimensions, describe_images(status))


def finalize_partials(
    read: Callable[[str], bytes | None],
    write: WriteGroups,
    *,
    methods: Mapping[str, Mapping[str, Any]],
    n_shards: int,
    status: np.ndarray,
    grouping: Grouping,
    steps: MapSteps,
) -> dict[str, GlobalMaps]:
    """Compute and write the global maps of a finished run that kept no maps.

    Args:
        read: Returns the bytes of a key, or None.
        write: Replaces the global maps of one method.
        methods: Attributes of each method's group, as the run wrote them.
        n_shards: Number of shards.
        status: ``(N,)`` of all images.
        grouping: As in the run.
        steps: As in the run.

    Raises:
        InputError: A shard's partial is missing or damaged.
    """
    made = {}
    for name, attributes in methods.items():
        maps = merged_maps(
            (_part(read, partial_key(name, shard)) for shard in range(n_shards)),
            status,
            grouping=grouping,
            steps=steps,
            space=tuple(attributes["space"]),
            dimensions=tuple(attributes["dimensions"]),
        )
        write(name, maps.groups, maps.arrays, maps.attributes, maps.dimensions)
        made[name] = maps
    return made


def _part(read: Callable[[str], bytes | None], key: str) -> dict[str, Moments]:
    data = read(key)
    if data is None:
        raise InputError(f"{key}: the partial of a finished shard is missing; delete the shard's marker to redo it.")
    return unpack(data)
