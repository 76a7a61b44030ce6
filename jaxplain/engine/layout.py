"""Which arrays a run writes: maps with their scales, rows, and the figures of each method's error."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxplain.engine.coarse import last_step, upsampling
from jaxplain.engine.job import Job
from jaxplain.engine.plan import Plan
from jaxplain.engine.step import Step
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.upsampling import Upsampling

SPACE = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}
CHUNK_BYTES = 1 << 16
"""Largest inner chunk of several maps: reading a whole store of small maps is bound by the number of chunks."""
CONVENTIONS = {
    "maps": "raw: signed, unscaled, channels kept; decoded value = value * scale, and where the array has the "
    "attribute 'upsampling' that brought to its space: bilinear between the centers of the positions with the edge "
    "repeated, or nearest",
    "status": "0 ok, 1 unreadable, 2 NaN or Inf in pixels, 3 NaN or Inf in logits",
    "noise": "keyed by (seed, image id, sample number)",
}


def row_fields(n: int, label: np.ndarray, score_shape: tuple[int, ...], shard_rows: int) -> list[ArraySpec]:
    """Return the arrays of the clean pass."""
    labels = ("image", "class") if label.ndim == 2 else ("image",)
    scores = ("image", "target")[: 1 + len(score_shape)]
    fields: list[tuple[str, tuple[int, ...], Any, tuple[str, ...]]] = [
        ("label", label.shape[1:], np.int32, labels),
        ("prediction", (), np.int32, ("image",)),
        ("target", (), np.int32, ("image",)),
        ("score", score_shape, np.float32, scores),
        ("status", (), np.uint8, ("image",)),
    ]
    return [
        ArraySpec(f"rows/{name}", (n, *shape), dtype, dimensions, shard_rows, (shard_rows, *shape))
        for name, shape, dtype, dimensions in fields
    ]


def method_arrays(step: Step, plan: Plan, n: int) -> dict[str, list[ArraySpec]]:
    """Return, per method, the arrays of its maps and figures."""
    arrays, coarse = {}, upsamplings(step)
    for name, (maps, figures) in step.shapes.items():
        targets = maps.shape[1 : 1 + step.target_axes]
        space, channels = map_space(maps.shape[1 + len(targets) :], step.shape)
        names = coarse[name].stored_dimensions if name in coarse else axis_names(space)
        dimensions = ("image", *("target" for _ in targets), *names, *(("channel",) if channels else ()))
        specs = [_per_image(f"rows/{figure}/{name}", n, value.shape[1:], plan) for figure, value in figures.items()]
        if plan.store != "none":
            shape, chunk = (n, *maps.shape[1:]), (_rows_read_together(maps.shape[1:], plan), *maps.shape[1:])
            attributes = coarse[name].record() if name in coarse else {}
            value = ArraySpec(
                f"maps/{name}/value", shape, plan.store, dimensions, plan.rows_per_shard, chunk, attributes=attributes
            )
            specs += [value, _per_image(f"maps/{name}/scale", n, targets, plan)]
        if name in step.schedules:
            specs += [_per_image(f"rows/evaluations/{name}", n, (), plan, np.int32)]
            specs += [_per_image(f"rows/converged/{name}", n, (), plan, np.bool_)]
        arrays[name] = specs
    return arrays


def _rows_read_together(shape: tuple[int, ...], plan: Plan) -> int:
    """Return the maps per inner chunk: one, or, of small maps, a power of two of them that fills 64 KB at most."""
    size, rows = int(np.prod(shape)) * np.dtype(plan.store).itemsize, 1
    while plan.rows_per_shard % (2 * rows) == 0 and 2 * rows * size <= CHUNK_BYTES:
        rows *= 2
    return rows


def _per_image(path: str, n: int, shape: tuple[int, ...], plan: Plan, dtype: Any = np.float32) -> ArraySpec:
    shard = plan.rows_per_shard
    return ArraySpec(path, (n, *shape), dtype, ("image", "target")[: 1 + len(shape)], shard, (shard, *shape))


def method_groups(job: Job, plan: Plan, step: Step) -> dict[str, Mapping[str, Any]]:
    """Return the attributes of every method's group: what it is, and the axes of one of its maps."""
    groups: dict[str, Mapping[str, Any]] = {}
    coarse = upsamplings(step)
    for explanation in job.explanations:
        maps, _ = step.shapes[explanation.name]
        space, channels = map_space(maps.shape[1 + step.target_axes :], step.shape)
        space = coarse[explanation.name].space if explanation.name in coarse else space
        groups[f"maps/{explanation.name}"] = {
            "method": explanation.method,
            "spec": dict(explanation.spec),
            "hash": job.hash(explanation, plan),
            "target_axes": step.target_axes,
            "channel_axis": channels,
            "space": list(space),
            "dimensions": list(axis_names(space)),
        }
    return groups


def upsamplings(step: Step) -> dict[str, Upsampling]:
    """Return how the maps that are left at a layer's resolution are brought to the examples' size on reading.

    Raises:
        InputError: A layer's maps cannot be.
    """
    found, space = {}, step.shape[:-1]
    for one in step.job.explanations:
        how = last_step(one) if step.coarse else None
        if how is not None:
            found[one.name] = upsampling(one, how, step.shapes[one.name][0], step.target_axes, space, axis_names(space))
    return found


def row_bytes(step: Step, store: str) -> int:
    """Return the stored bytes of one image over all methods."""
    size = {"float16": 2, "float32": 4, "none": 0}[store]
    return sum(int(np.prod(maps.shape[1:])) * size for maps, _ in step.shapes.values())


def map_space(map_shape: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Return the space of a map of examples of some shape, and whether an axis of channels follows it."""
    channels = len(map_shape) == len(shape) > 1
    return (map_shape[:-1] if channels else map_shape), channels


def axis_names(space: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the axes of space, such as ``("y", "x")``."""
    return SPACE.get(len(space), tuple(f"axis{number}" for number in range(len(space))))
