"""The beginning of a run: the plan, the fingerprint of the model, and the manifest that fixes both."""

import importlib.metadata
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain.adapters.independence import check_independent, forward
from jaxplain.core.model import Model
from jaxplain.engine.device import device_kind, until_ready
from jaxplain.engine.devices import Devices
from jaxplain.engine.events import Finished, Started, Watcher
from jaxplain.engine.job import ROWS, Job, Place
from jaxplain.engine.layout import CONVENTIONS, row_bytes, upsamplings
from jaxplain.engine.lift import select_images
from jaxplain.engine.plan import Plan, choose_tile, rows_per_shard
from jaxplain.engine.step import Step, padded
from jaxplain.io.manifest import differences
from jaxplain.io.sources.base import Source
from jaxplain.io.status import OK

PROBES = 4
"""Images whose outputs make the model's fingerprint."""
FINGERPRINT_TOLERANCE = 1e-3
BATCH_TOLERANCE = 1e-2


def open_run(job: Job, source: Source, place: Place, *, replan: bool, watch: Watcher) -> tuple[Plan, Step]:
    """Return the plan of the store: the one in its manifest, or a new one, which is written there; and its step.

    Raises:
        InputError: The store belongs to another job, another device, another number of devices or another model.
    """
    outputs = probe(job.model, source)
    manifest = place.manifest.read()
    if manifest is None:
        plan, step = make_plan(job, source, watch=watch)
        if place.manifest.create(_manifest(job, source, plan, outputs)):
            return plan, step
        manifest = place.manifest.read() or {}
    lines = differences(manifest["job"], dict(job.spec))
    if lines:
        raise InputError(
            "run: the output holds another job; choose another output or restore these keys:\n  " + "\n  ".join(lines)
        )
    request = {name: value for name, value in vars(job.request).items() if name in ("precision", "store")}
    lines = differences({name: manifest["plan"][name] for name in request}, request)
    if lines:
        raise InputError("run: the store was planned otherwise; restore these keys:\n  plan." + "\n  plan.".join(lines))
    kind = device_kind()
    if manifest["device"] != kind and not replan:
        raise InputError(
            f"run: the store was begun on {manifest['device']!r} and this is {kind!r}; results would agree "
            "to rounding only. Go on there, or pass --replan."
        )
    known = np.asarray(manifest["fingerprint"]["outputs"], np.float32)
    if known.shape != outputs.shape or not np.allclose(
        known, outputs, rtol=0, atol=FINGERPRINT_TOLERANCE * _size(known)
    ):
        raise InputError(
            "run: the model's outputs on the first images differ from those in the manifest; "
            "the checkpoint or the code has changed. Restore it, or choose another output."
        )
    plan = Plan.of(manifest["plan"])
    devices = Devices.local(job.request.devices).count
    if plan.devices != devices:
        if not replan:
            raise InputError(
                f"run: the store was planned for {_devices(plan.devices)} and here are {devices}; results would agree "
                f"to rounding only. Set plan.devices = {plan.devices} where there are as many, or pass --replan."
            )
        plan = replace(plan, batch=plan.batch // plan.devices * devices, devices=devices)
    return plan, Step.of(job, source.shape, plan)


def probe(model: Model, source: Source) -> np.ndarray:
    """Return the network's outputs on the first readable images, flat, and refuse a network that mixes examples.

    Raises:
        InputError: The outputs of an image depend on the other images of its batch.
    """
    rows = source.read(np.arange(min(PROBES, len(source))))
    images = rows.image[rows.status == OK]
    if not len(images):
        return np.zeros((0, 0), np.float32)
    images = jnp.asarray(images)
    check_independent(model, images, tolerance=BATCH_TOLERANCE)
    outputs = forward(model, [images])
    flat = np.concatenate([np.asarray(leaf, np.float32).reshape(len(leaf), -1) for leaf in jax.tree.leaves(outputs)], 1)
    return np.where(np.isfinite(flat), flat, 0)[:, :64]


def make_plan(job: Job, source: Source, *, watch: Watcher) -> tuple[Plan, Step]:
    """Choose batch and chunk from the memory budget, confirm them on the device and measure the rows per shard.

    Running out of memory halves the batch. The step that comes back has its programs compiled.

    Raises:
        InputError: The budget does not hold one gradient, or one image does not fit on the device.
    """
    request, n, devices = job.request, len(source), Devices.local(job.request.devices).count
    began = time.perf_counter()
    watch(Started("plan", 0))
    first = Step(job, source.shape, 1)
    score = select_images(first.score, first.axes, np.zeros(1, int))
    shape = jax.ShapeDtypeStruct(source.shape, np.float32)
    tile = choose_tile(score, shape, n, request.memory, request.batch, devices)
    together = first.of_one_evaluation if request.together else ()
    plan = Plan(
        tile.batch, request.chunk or tile.chunk, request.precision, tile.batch, request.store, together, devices,
        coarse=request.coarse and request.store != "none",
    )  # fmt: skip
    while True:
        step = Step.of(job, source.shape, plan)
        upsamplings(step)  # refuses maps that cannot be brought to the examples' space, before anything is compiled
        try:
            seconds = _trial(step, source, watch)
            break
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or request.batch is not None:
                raise
            share = plan.batch // devices
            if share == 1:
                raise InputError("plan: one image does not fit into the device's memory; lower chunk.") from error
            plan = replace(plan, batch=share // 2 * devices)
    rows = request.rows_per_shard or rows_per_shard(plan.batch, row_bytes(step, plan.store), seconds / plan.batch, n)
    watch(Finished("plan", time.perf_counter() - began, {"batch": plan.batch, "chunk": plan.chunk, "rows": rows}))
    return replace(plan, rows_per_shard=-(-rows // plan.batch) * plan.batch), step


def _trial(step: Step, source: Source, watch: Watcher) -> float:
    """Compile every program, run one batch twice and return the seconds of the second time."""
    numbers = np.minimum(np.arange(step.batch), len(source) - 1)
    rows = padded(source.read(np.arange(min(step.batch, len(source)))), step.batch)
    names = [ROWS, *step.programs]
    step.compile(names, watch)
    for _ in range(2):
        began = time.perf_counter()
        own = step.own(numbers, rows.image, names)
        until_ready(step.start(numbers, rows.image, rows.id, names, own), enough=lambda: False)
    return time.perf_counter() - began


def _manifest(job: Job, source: Source, plan: Plan, outputs: np.ndarray) -> Mapping[str, Any]:
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax", "numpy", "tensorstore")}
    return {
        "job": dict(job.spec),
        "methods": {explanation.name: dict(explanation.spec) for explanation in job.explanations},
        "class_names": list(job.class_names),
        "plan": plan.record(),
        "images": len(source),
        "shape": list(source.shape),
        "fingerprint": {"data": source.fingerprint, "outputs": outputs.tolist()},
        "versions": {**versions, "python": platform.python_version()},
        "device": device_kind(),
        "conventions": CONVENTIONS,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _size(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0)) + 1e-6
