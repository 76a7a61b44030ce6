"""PEPPR over a source: every image is read once, all orders and steps are swept on it, scores are kept, curves follow.

The work is cut into shards of images. With a place to write, a finished shard's scores are durable at ``peppr/scores``
(image, order, mode, step, label) and ``peppr/ends`` (image, full or blank, label) before its marker appears, so that a
killed sweep goes on where it was; a sweep with other orders, steps, images or model replaces the old one. Curves are
measured when all shards are finished; asking for more resamples sweeps nothing again.

The endpoints, full and blank, do not depend on the order and are scored once. Where the blank is the same for all
images it is scored for one image only: rounding must not rank equal images.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.aggregate import curves
from jaxplain.aggregate.bootstrap import resample_counts
from jaxplain.aggregate.groups import one_hot
from jaxplain.aggregate.peppr import N_RANDOM, Order, controls
from jaxplain.aggregate.results import results
from jaxplain.aggregate.steps import FRACTIONS, Steps
from jaxplain.core.baselines import Baseline, Constant
from jaxplain.core.model import Model
from jaxplain.engine.assignment import Assignment, Claim, Part, by_one
from jaxplain.engine.devices import Devices
from jaxplain.engine.events import Advanced, Finished, Started, Watcher, unwatched
from jaxplain.engine.precision import Precision, at_precision
from jaxplain.engine.scores import NAME, Scores, ScoresInMemory
from jaxplain.engine.selection import population
from jaxplain.engine.sweep_work import SweepWork
from jaxplain.io.sources.base import Source

SHARD_BYTES = 1 << 23
"""Scores per shard: a killed sweep loses one shard."""
CURVES = "curves/"
"""Where the lease of the curves is."""


@dataclass(frozen=True)
class Settings:
    """How a sweep is made and measured.

    Args:
        fractions: Shares of the pixels, rising from 0 to 1.
        baseline: What a pixel shows when it is erased: "mean_image" (of the images swept), "channel_mean" (of the
            same), or a baseline of ``jaxplain.core.baselines``.
        n_images: How many images; None for all.
        n_random: Number of random orders.
        seed: Of the selection, the random orders, the resamples and a noise baseline.
        resamples: Bootstrap resamples; 0 for no intervals.
        level: Coverage of the intervals.
        exclude: Labels left out of the macro average, such as "any disease".
        threshold: Score above which a label counts as predicted, where images have several labels.
        batch: Images per compiled step, rounded up to a multiple of the devices.
        precision: "exact", "fast" or "bf16".
        devices: How many local devices share out a batch; all by default.
    """

    fractions: tuple[float, ...] = FRACTIONS
    baseline: Baseline | Literal["mean_image", "channel_mean"] = "mean_image"
    n_images: int | None = None
    n_random: int = N_RANDOM
    seed: int = 0
    resamples: int = 1000
    level: float = 0.95
    exclude: tuple[int, ...] = ()
    threshold: float = 0.0
    batch: int = 64
    precision: Precision = "fast"
    devices: int | None = None


def sweep(
    model: Model,
    source: Source,
    orders: Sequence[Order],
    settings: Settings = Settings(),
    *,
    space: tuple[int, ...] | None = None,
    status: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
    scores: Scores | None = None,
    part: Part | None = None,
    watch: Watcher = unwatched,
) -> dict[str, Any] | None:
    """Sweep orders over the images of a source and measure the curves.

    Args:
        model: Outputs ``(batch, labels)``, usually logits.
        source: Images with labels.
        orders: Orders of global maps, from ``order_of``; controls are added.
        settings: Steps, baseline, controls, bootstrap.
        space: The axes that are ranked; by default all axes of an example but the last, the channels,
            or the only one.
        status: ``(N,)`` status of each image; others than 0 are left out. Images that the source itself cannot read
            are left out in any case.
        labels: Names of the labels.
        scores: Where scores are kept; in memory by default.
        part: Which part of the shards this process sweeps, and how; by default all, as the only one.
        watch: Called with events.

    Returns:
        The results (see ``jaxplain.aggregate.results``), or None while shards are unfinished or another worker
        measures the curves.

    Raises:
        InputError: Labels, outputs and orders that do not fit, or no usable image.
        Stopped: Somebody wished for the end while no shard was under way.
    """
    part = part or Part()
    began = time.perf_counter()
    space = (tuple(source.shape[:-1]) or tuple(source.shape)) if space is None else tuple(space)
    rows, mean_image = population(source, status, settings.n_images, seed=settings.seed, watch=watch)
    given = np.asarray(source.labels)
    every = [*orders, *controls(space, seed=settings.seed, mean_image=mean_image, n_random=settings.n_random)]
    _check(every, space)
    ranked = [order for order in every if order.ranks is not None]
    steps = Steps(tuple(settings.fractions), prod(space))
    if not len(steps.inner):
        raise InputError(f"peppr: steps {steps.fractions} take no mask between none and all of {prod(space)} pixels.")
    devices = Devices.local(settings.devices)
    model, context = at_precision(model, settings.precision, devices)
    with context:
        ranks = np.stack([order.ranks for order in ranked if order.ranks is not None])
        baseline = _baseline(settings, mean_image)
        work = SweepWork(
            model, source, rows, baseline, ranks, steps.inner,
            batch=settings.batch, seed=settings.seed, devices=devices,
        )  # fmt: skip
        truth = one_hot(given[rows], work.n_labels)
        shape = (len(ranked), 2, len(steps.inner), work.n_labels)
        shard_rows = _shard_rows(len(rows), work.batch, 4 * prod(shape))
        kept = ScoresInMemory() if scores is None else scores
        kept.open(len(rows), shape, shard_rows, work.identity(settings.precision), rows)
        shards = _Shards(kept, len(rows), shard_rows)
        order = part.worker.order(kept.count, steal=part.steal)
        finished = kept.finished()
        todo = [shard for shard in order if shard not in finished]
        if todo:
            work.compile(watch)
        facts = {"orders": len(ranked), "masks": len(steps.inner)}
        watch(Started("sweep", shards.images(order), shards.images(order) - shards.images(todo), facts))
        try:
            with part.stop.heeded():
                for claims in Assignment(part, todo, f"{NAME}/").passes():
                    shards.sweep(work, claims, part, watch)
        finally:
            if part.leases is not None:
                part.leases.let_go()
        watch(Finished("sweep", time.perf_counter() - began))
    if len(kept.finished()) < kept.count:
        return None
    counts = resample_counts(len(rows), settings.resamples, seed=settings.seed)
    macro = tuple(label for label in range(work.n_labels) if label not in settings.exclude)
    scored = curves.Scored(
        truth, steps, curves.with_ones(counts), given.ndim == 1, macro, settings.level, settings.threshold
    )
    made_how = {
        "baseline": describe(settings.baseline),
        "seed": settings.seed,
        "passes": 2 * len(ranked) * len(steps.inner) + 2,
        "seconds": round(time.perf_counter() - began, 3),
    }
    names = _names(labels, work.n_labels)
    alone = replace(part, steal=False)  # whoever finds another at it need not do it again
    return by_one(alone, CURVES, lambda: _measure(scored, kept, every, names, made_how, watch))[0]


class _Shards:
    """Shards of images, whose scores are kept."""

    def __init__(self, kept: Scores, n: int, shard_rows: int):
        self.kept, self.n, self.shard_rows = kept, n, shard_rows
        self._claims: deque[Claim] = deque()

    def images(self, shards: Iterable[int]) -> int:
        """Return the number of images of some shards."""
        return sum(last - first for first, last in map(self._span, shards))

    def sweep(self, work: SweepWork, claims: Iterable[Claim], part: Part, watch: Watcher) -> None:
        """Sweep the shards of claims and keep their scores."""
        for found in work.sweep(self._spans(claims), part.stop):
            claim = self._claims.popleft()
            first, last = self._span(claim.number)
            if claim.still():
                self.kept.put(claim.number, first, *found)
            claim.release()
            watch(Advanced("sweep", last - first, f"shard {claim.number}"))

    def _spans(self, claims: Iterable[Claim]) -> Iterator[tuple[int, int]]:
        for claim in claims:
            if self.kept.lacks(claim.number):
                self._claims.append(claim)
                yield self._span(claim.number)
            else:  # somebody else has finished it in between
                claim.release()

    def _span(self, shard: int) -> tuple[int, int]:
        return shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.n)


def _measure(
    scored: curves.Scored,
    kept: Scores,
    every: Sequence[Order],
    names: Sequence[str],
    facts: Mapping[str, Any],
    watch: Watcher,
) -> dict[str, Any]:
    """Measure every order, one at a time, and publish."""
    watch(Started("curves", len(every)))
    spool = kept.spool()
    at_ends = curves.ends(scored, spool.ends)
    measured, number = [], 0
    for order in every:
        if order.ranks is None:
            measured.append({name: curves.nowhere(scored) for name in at_ends})
        else:
            measured.append(curves.measure(scored, spool.read, number, at_ends))
            number += 1
        watch(Advanced("curves", 1, order.name))
    spool.close()
    made = results(scored, at_ends, every, measured, labels=names, facts=facts)
    arrays = {name: np.stack([found[name].curve.value for found in measured]) for name in at_ends}
    kept.publish(json.dumps(made, sort_keys=True, indent=1, allow_nan=False).encode(), arrays)
    return made


def _check(orders: Sequence[Order], space: tuple[int, ...]) -> None:
    names = [order.name for order in orders]
    for order in orders:
        if names.count(order.name) > 1:
            raise InputError(f"peppr: two orders are called {order.name!r}; give each a name of its own.")
        if order.ranks is not None and order.ranks.shape != space:
            raise InputError(
                f"peppr: order {order.name!r} has shape {order.ranks.shape} for images of {space}; "
                "rank a coarse map with rank_coarse(map, shape)."
            )


def _baseline(settings: Settings, mean_image: np.ndarray) -> Baseline:
    if not isinstance(settings.baseline, str):
        return settings.baseline
    if settings.baseline == "mean_image":
        return Constant(jnp.asarray(mean_image, jnp.float32))
    if settings.baseline == "channel_mean":
        return Constant(jnp.asarray(mean_image.mean(axis=tuple(range(mean_image.ndim - 1))), jnp.float32))
    raise unknown("peppr", "baseline", settings.baseline, ("mean_image", "channel_mean"))


def describe(baseline: Baseline | str) -> Any:
    """Return a baseline as JSON values; large arrays by their shape."""
    if isinstance(baseline, str):
        return baseline
    values = {name: np.asarray(value) for name, value in vars(baseline).items()}
    short = {name: value.tolist() if value.size <= 16 else list(value.shape) for name, value in values.items()}
    return {"kind": type(baseline).__name__, **short}


def _names(labels: Sequence[str] | None, n: int) -> list[str]:
    names = [str(label) for label in range(n)] if labels is None else list(labels)
    if len(names) != n:
        raise InputError(f"peppr: {len(names)} label names for {n} outputs; name every output of the model.")
    return names


def _shard_rows(n: int, batch: int, row_bytes: int) -> int:
    """Return whole batches, at least one, of about SHARD_BYTES of scores."""
    return min(max(1, SHARD_BYTES // row_bytes // batch), -(-n // batch)) * batch
