"""Which arrays a run writes: maps with their scales, rows, and the figures of each method's error."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxplain.core.maps import MapSteps
from jaxplain.engine.job import Job
from jaxplain.engine.plan import Plan
from jaxplain.engine.step import Step
from jaxplain.io.arrays import ArraySpec

SPACE = {1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}
CONVENTIONS = {
    "maps": "raw: signed, unscaled, channels kept; decoded value = value * scale",
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
    arrays = {}
    for name, (maps, figures) in step.shapes().items():
        targets = maps.shape[1 : 1 + step.target_axes]
        dimensions = ("image", *("target" for _ in targets), *_space(maps.shape[1 + len(targets) :], step.shape))
        specs = [_per_image(f"rows/{figure}/{name}", n, value.shape[1:], plan) for figure, value in figures.items()]
        if plan.store != "none":
            value = ArraySpec(f"maps/{name}/value", (n, *maps.shape[1:]), plan.store, dimensions, plan.rows_per_shard)
            specs += [value, _per_image(f"maps/{name}/scale", n, targets, plan)]
        arrays[name] = specs
    return arrays


def _per_image(path: str, n: int, shape: tuple[int, ...], plan: Plan) -> ArraySpec:
    shard = plan.rows_per_shard
    return ArraySpec(path, (n, *shape), np.float32, ("image", "target")[: 1 + len(shape)], shard, (shard, *shape))


def method_groups(job: Job, plan: Plan, step: Step) -> dict[str, Mapping[str, Any]]:
    """Return the attributes of every method's group: what it is, and whether the last axis holds channels."""
    shapes = step.shapes()
    return {
        f"maps/{explanation.name}": {
            "method": explanation.method,
            "spec": dict(explanation.spec),
            "hash": job.hash(explanation, decided(plan)),
            "target_axes": step.target_axes,
            "channel_axis": _has_channels(shapes[explanation.name][0].shape[1 + step.target_axes :], step.shape),
        }
        for explanation in job.explanations
    }


def decided(plan: Plan) -> dict[str, Any]:
    """Return the parts of a plan that decide stored values beyond rounding."""
    return {"precision": plan.precision, "store": plan.store}


def row_bytes(step: Step, store: str) -> int:
    """Return the stored bytes of one image over all methods."""
    size = {"float16": 2, "float32": 4, "none": 0}[store]
    return sum(int(np.prod(maps.shape[1:])) * size for maps, _ in step.shapes().values())


def steps_record(steps: MapSteps) -> dict[str, str]:
    """Return map steps as JSON values."""
    return {"sign": steps.sign, "pool": steps.pool, "scale": steps.scale}


def _has_channels(map_shape: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(map_shape) == len(shape) > 1


def _space(map_shape: tuple[int, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    channels = ("channel",) if _has_channels(map_shape, shape) else ()
    axes = len(map_shape) - len(channels)
    return (*SPACE.get(axes, tuple(f"axis{number}" for number in range(axes))), *channels)
