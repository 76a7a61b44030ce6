"""A sample of a store's rows computed again, and how far the stored maps are from it.

The sample is a run of its own over these rows alone, with the plan of the store but exact storage, into a place that is
thrown away. So whatever a run does (resolving predictions, rounds to a tolerance, coarse maps) is done again. On the
device that made the store what differs is the rounding of its format, and that of a row's place in a batch; elsewhere
other rounding comes in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import numpy as np

from jaxplain._errors import InputError
from jaxplain.core.score import Score
from jaxplain.core.targets import Target
from jaxplain.engine.context import canonical
from jaxplain.engine.device import device_kind
from jaxplain.engine.devices import Devices
from jaxplain.engine.events import Watcher, unwatched
from jaxplain.engine.job import ROWS, Job, Place, PlanRequest
from jaxplain.engine.lift import image_axes
from jaxplain.engine.plan import Plan
from jaxplain.engine.run import run
from jaxplain.io.encoding import ERROR_BOUND
from jaxplain.io.maparray import MapArray
from jaxplain.io.sources.base import Rows, Source
from jaxplain.io.status import OK
from jaxplain.io.store import Store

SLACK = 1e-3
"""Difference beyond the format's rounding that is no fault on the same device, as a fraction of a map's largest value:
a row's place in a batch changes the last bits of a sum."""
SCORE = "score"
"""Name of the comparison of scores."""


@dataclass(frozen=True)
class Agreement:
    """How far stored values are from values computed again.

    Args:
        name: The method, or ``SCORE``.
        difference: The largest difference, as a fraction of the largest value of its map, or of all scores.
        row: The row with it.
        rounding: What the store's format may lose, as such a fraction.
    """

    name: str
    difference: float
    row: int
    rounding: float

    @property
    def agrees(self) -> bool:
        """Whether the difference can be rounding on the device that made the store."""
        return self.difference <= self.rounding + SLACK


class Sampled(NamedTuple):
    """A sample computed again.

    Args:
        rows: Its rows.
        agreements: One per method, then that of the scores.
        same_device: Whether it was computed on as many devices of the kind that made the store.
    """

    rows: np.ndarray
    agreements: tuple[Agreement, ...]
    same_device: bool


def choose_rows(job: Job, store: Store, n: int, *, seed: int) -> tuple[Job, np.ndarray]:
    """Choose rows at random among those that are finished and sound; return them with the job of the methods they have.

    Args:
        job: The job of the store.
        store: The store.
        n: How many; fewer where there are not so many.
        seed: Of the choice.

    Raises:
        InputError: There is nothing to be computed again.
    """
    if n < 1:
        raise InputError(f"verify: rows = {n} must be at least 1.")
    begun = tuple(one for one in job.explanations if store.finished(one.name))
    there = store.finished_rows(ROWS)
    for one in begun:
        there &= store.finished_rows(one.name)
    status = store.rows("status", missing="fill")
    rows = np.flatnonzero(there & (status == OK))
    if not begun or not len(rows):
        raise InputError(f"{store.storage.url}: no image is finished and sound, so nothing can be computed again.")
    chosen = np.random.default_rng(seed).choice(rows, min(n, len(rows)), replace=False)
    return replace(job, explanations=begun), np.sort(chosen)


def recompute(
    job: Job, source: Source, store: Store, rows: np.ndarray, scratch: Place, *, watch: Watcher = unwatched
) -> None:
    """Explain some rows of a source again, with exact storage.

    Args:
        job: The job of the store, with the methods in question.
        source: Its images.
        store: The store.
        rows: The rows.
        scratch: Where to; an empty place.
        watch: Called with events.
    """
    plan = Plan.of(store.manifest["plan"])
    request = PlanRequest(
        memory=job.request.memory,
        batch=plan.batch // plan.devices * Devices.local(job.request.devices).count,
        chunk=plan.chunk,
        precision=plan.precision,
        store="float32",
        together=bool(plan.together),
        devices=job.request.devices,
        coarse=plan.coarse,
    )
    target = _target_of(job, source.shape, rows)
    run(replace(job, target=target, request=request, max_bad=None), _Part(source, rows), scratch, watch=watch)


def compare(job: Job, store: Store, again: Store, rows: np.ndarray) -> Sampled:
    """Compare stored values with those computed again.

    Args:
        job: The job with the methods in question.
        store: The store.
        again: What ``recompute`` has filled.
        rows: The rows of the store that stand in it.
    """
    plan = Plan.of(store.manifest["plan"])
    rounding = ERROR_BOUND if plan.store == "float16" else 0.0
    found = []
    for one in job.explanations if store.keeps_maps else ():
        stored, computed = store.maps(one.name).coarse, again.maps(one.name).coarse
        found.append(_agreement(one.name, stored[rows], computed[:], rows, _leading(computed), rounding))
    scores, computed_scores = (np.asarray(values, np.float32) for values in (store.rows("score"), again.rows("score")))
    # One scale for all of them: a score near zero is the difference of large numbers.
    found.append(_agreement(SCORE, scores[rows][None], computed_scores[None], rows, 1, 0.0))
    same = store.manifest["device"] == device_kind() and plan.devices == Devices.local(job.request.devices).count
    return Sampled(rows, tuple(found), same)


def _agreement(
    name: str, stored: np.ndarray, computed: np.ndarray, rows: np.ndarray, leading: int, rounding: float
) -> Agreement:
    """Compare maps that the first axes count."""
    if stored.shape != computed.shape:
        raise InputError(f"verify: {name!r} is stored as {stored.shape[1:]} and computed as {computed.shape[1:]}.")
    n = int(np.prod(computed.shape[:leading]))
    both_nan = np.isnan(stored) & np.isnan(computed)
    with np.errstate(invalid="ignore"):
        apart = np.where(both_nan, np.float32(0), np.abs(stored - computed)).reshape(n, -1)
    # A value on one side and NaN on the other are infinitely far apart.
    apart = np.where(np.isnan(apart), np.float32(np.inf), apart)
    size = np.where(both_nan, np.float32(0), np.abs(computed)).reshape(n, -1).max(axis=1, keepdims=True)
    shares = apart / np.where(size > 0, size, np.float32(1))
    per_row = shares.reshape(len(rows), -1).max(axis=1)
    worst = int(per_row.argmax())
    return Agreement(name, float(per_row[worst]), int(rows[worst]), rounding)


def _leading(maps: MapArray) -> int:
    """Return how many first axes count maps: images, and targets where there are several per image."""
    return 2 if "target" in maps.dims else 1


def _target_of(job: Job, shape: tuple[int, ...], rows: np.ndarray) -> Target:
    """Return the target of some images."""
    target = jax.tree.map(np.asarray, canonical(job.target))
    axes = image_axes(Score(job.model, target), shape)
    leaves, structure = jax.tree.flatten(target)
    chosen = [leaf[rows] if axis == 0 else leaf for leaf, axis in zip(leaves, axes, strict=True)]
    found: Target = jax.tree.unflatten(structure, chosen)
    return found


class _Part:
    """Some rows of a source, as a source; their ids, and so their noise, are what they are there."""

    def __init__(self, source: Source, rows: np.ndarray):
        self._source, self._rows = source, rows
        self.shape, self.class_names = source.shape, source.class_names
        self.labels = None if source.labels is None else source.labels[rows]
        self.ids, self.names = source.ids[rows], None
        self.fingerprint, self.reasons = f"{source.fingerprint} in part", dict[int, str]()

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: Sequence[int] | np.ndarray) -> Rows:
        """Read rows."""
        return self._source.read(self._rows[np.asarray(rows)])

    def close(self) -> None:
        """Leave the source to whoever opened it."""
