"""Run a job file from beginning to end: what ``jaxplain run`` and ``jaxplain.run`` do."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jaxplain.cli.build import Built, build, write_origin
from jaxplain.cli.compile_cache import compile_cache
from jaxplain.cli.globals import made_of, make_globals, up_to_date
from jaxplain.cli.jobfile import JobFile, load_job
from jaxplain.cli.other_job import refuse_other_job
from jaxplain.cli.partials import make_partial_globals
from jaxplain.cli.quarantine import Quarantined, quarantined
from jaxplain.cli.rank import worker_of
from jaxplain.cli.stages import Stages
from jaxplain.cli.units import title
from jaxplain.engine import run as engine
from jaxplain.engine.assignment import Part, by_one
from jaxplain.engine.devices import Devices
from jaxplain.engine.events import Watcher, unwatched
from jaxplain.engine.job import Job
from jaxplain.engine.usage import device_peak_bytes, peak_bytes, product_rate
from jaxplain.io.leases import Lease, Leases
from jaxplain.io.owners import Owner
from jaxplain.io.store import ROWS, Store

FACTS = "run.json"
"""Key of the figures of the last run that explained anything: images/s, memory."""
LONG = 10.0
"""Seconds of explaining after which a tenth of a second is spent on the rate of a matrix product."""
GLOBALS = "global/"
"""Where the lease of the global maps is."""


@dataclass(frozen=True)
class Summary:
    """What a run did, and what the store holds now.

    Args:
        output: Where the store is.
        methods: Names of the job's methods.
        total: Images of the source.
        images: Images explained in this process; the rest was there.
        images_per_second: Of those.
        seconds: Time of explaining, planning and compilation apart.
        planning_seconds: Time of planning and compilation.
        programs: Seconds of tracing and of compiling every program, by its name.
        waiting: Shares of the time of explaining that were waited for "input", "device" and "output".
        operations_per_second: Floating-point operations while explaining, by XLA's count; None where it does not tell.
        operations_whole: Whether that count is whole: calls of libraries, and some loops, do not tell what they do.
        product_rate: Floating-point operations per second of a plain matrix product, measured after a run that took
            long enough; else None.
        peak_bytes: Largest memory of this process so far.
        device_peak_bytes: Largest memory in use on one device, or None where devices do not tell (CPUs).
        stages: Seconds of every stage, by its name.
        quarantined: Images that were left out, also by earlier runs.
        failed: Shards that could not be read, with the reason.
        held: Unfinished shards of this worker's part that others hold.
        stopped: Whether somebody wished for the end.
        own_complete: Whether this worker's part is finished; everything is its part where it steals.
        complete: Whether every shard of every method is finished.
        aggregated: Methods whose global maps are there.
        remark: Why there are no global maps, where that is not a fault.
    """

    output: str
    methods: tuple[str, ...]
    total: int
    images: int
    images_per_second: float
    seconds: float
    planning_seconds: float
    programs: dict[str, tuple[float, float]]
    waiting: dict[str, float]
    operations_per_second: float | None
    operations_whole: bool
    product_rate: float | None
    peak_bytes: int
    device_peak_bytes: int | None
    stages: dict[str, float]
    quarantined: tuple[Quarantined, ...]
    failed: dict[int, str]
    complete: bool
    held: dict[int, Lease] = field(default_factory=dict)
    stopped: bool = False
    own_complete: bool = True
    aggregated: tuple[str, ...] = ()
    remark: str = ""

    @property
    def utilization(self) -> float | None:
        """Operations per second as a share of a matrix product's, or None where either is not known."""
        if self.operations_per_second is None or self.product_rate is None:
            return None
        return self.operations_per_second / self.product_rate

    @property
    def done(self) -> bool:
        """Whether this worker has nothing left to do: its part is finished, and it was not stopped before the rest."""
        return self.own_complete and not (self.complete and self.stopped and not self.aggregated)


def run(
    job_file: str | Path,
    *,
    set: Iterable[str] = (),
    replan: bool = False,
    worker: str | None = None,
    steal: bool = False,
    watch: Watcher = unwatched,
) -> Summary:
    """Explain the images of a job's source, and make the global maps when all are done.

    A killed run goes on where it was when it is called again. Several may work on one job at once.

    Args:
        job_file: The TOML file.
        set: Keys to change, as ``section.key=value``.
        replan: Go on although the store was begun on another kind of device.
        worker: Which worker this is, as ``i/n`` with i from 1 to n, or ``auto``; by default the only one.
        steal: Go on to the shards of other workers, and wait for those that they hold.
        watch: Called with every event, see ``jaxplain.engine.events``.

    Returns:
        What was done; ``own_complete`` is false where shards failed or are held by others, which the same call does.

    Raises:
        InputError: The job does not fit; the message names the file, the key and the remedy.
        OSError: The output cannot be written.
    """
    part = Part(worker_of(worker, os.environ), steal)
    return run_job(load_job(job_file, set), replan=replan, part=part, watch=watch)


def run_job(file: JobFile, *, replan: bool = False, part: Part | None = None, watch: Watcher = unwatched) -> Summary:
    """Run a job that was read already; see ``run``."""
    with compile_cache(file, watch) as watch:
        return _run(file, replan, part or Part(), watch)


def with_leases(part: Part, built: Built) -> Part:
    """Return a part that takes leases in the job's output."""
    return replace(part, leases=Leases(built.storage, Owner.here(str(part.worker))))


def _run(file: JobFile, replan: bool, part: Part, watch: Watcher) -> Summary:
    watch = stages = Stages(watch)
    built = build(file, watch)
    try:
        refuse_other_job(built.job, built.storage)
        built.storage.check_writing()
        part = with_leases(part, built)
        done = engine.run(built.job, built.source, built.place, replan=replan, part=part, watch=watch)
        write_origin(built.storage, file)
        store = Store(built.storage)
        aggregated, remark = _aggregate_together(built, store, done, part, watch)
        summary = Summary(
            output=built.storage.url,
            methods=tuple(explanation.name for explanation in built.job.explanations),
            total=len(built.source),
            images=done.images,
            images_per_second=done.images_per_second,
            seconds=done.seconds,
            planning_seconds=done.planning_seconds,
            programs={name: (one.trace_seconds, one.compile_seconds) for name, one in done.compiled.items()},
            waiting=done.waits.shares(done.seconds),
            operations_per_second=done.operations_per_second,
            operations_whole=done.operations.whole,
            product_rate=_product_rate(built.job, done),
            peak_bytes=peak_bytes(),
            device_peak_bytes=device_peak_bytes(),
            stages=stages.seconds,
            quarantined=quarantined(store, built.source.reasons),
            failed=dict(done.failed),
            complete=done.complete,
            held=done.held,
            stopped=part.stop.asked,
            own_complete=done.own_complete,
            aggregated=aggregated,
            remark=remark,
        )
        if done.images:
            built.storage.write(FACTS, (json.dumps(figures(summary), indent=1) + "\n").encode())
        built.storage.remove_leftovers()
        return summary
    finally:
        built.source.close()


def _product_rate(job: Job, done: engine.Summary) -> float | None:
    """Measure what the device can do, where that takes no noticeable part of the run."""
    if done.stopped or done.seconds < LONG or done.operations_per_second is None:
        return None
    return product_rate(job.request.precision, Devices.local(job.request.devices).count)


def _aggregate_together(
    built: Built, store: Store, done: engine.Summary, part: Part, watch: Watcher
) -> tuple[tuple[str, ...], str]:
    """Make the global maps when all is done; where workers wait for each other, the first of them does."""
    if part.meet is None:
        return _aggregate_by_one(built, store, done, part, watch) if done.complete else ((), "")
    names = [explanation.name for explanation in built.job.explanations]
    done.complete = part.meet() and all(store.complete(name) for name in (ROWS, *names))
    if not done.complete:
        return (), ""
    if part.worker.number == 0:
        found = _aggregate_by_one(built, store, done, part, watch)
        part.meet()
        return found
    part.meet()
    return tuple(name for name in names if store.has_globals(name)), ""


def _aggregate_by_one(
    built: Built, store: Store, done: engine.Summary, part: Part, watch: Watcher
) -> tuple[tuple[str, ...], str]:
    """Make the global maps unless another worker does; tell why there are none."""
    found, other = by_one(part, GLOBALS, lambda: _aggregate(built, store, done, watch))
    if found is not None:
        return found
    return (), f"{other} makes them" if other is not None else "stopped before; the same command makes them"


def _aggregate(built: Built, store: Store, done: engine.Summary, watch: Watcher) -> tuple[tuple[str, ...], str]:
    """Make the global maps that are missing, made in another way, or older than a shard; tell why there are none."""
    job, target = built.job, built.file.target
    names = [explanation.name for explanation in job.explanations]
    if target.kind == "logits" and target.indices not in ("all", tuple(range(job.n_labels))):
        return (), 'global maps need every class: explain kind = "logits" with indices = "all"'
    if job.request.store == "none":
        if done.images or not all(store.has_globals(name) for name in names):
            make_partial_globals(store, job, names)
        return tuple(names), ""
    of = made_of(store, names)
    due = [name for name in names if not up_to_date(store, name, of[name], job.steps, job.select, job.exclude)]
    if due:
        make_globals(store, due, steps=job.steps, select=job.select, exclude=job.exclude, watch=watch)
    return tuple(names), ""


def figures(summary: Summary) -> dict[str, Any]:
    """Return the figures of a run by names that people read, as JSON has them."""
    rate, share = summary.operations_per_second, summary.utilization
    device = summary.device_peak_bytes
    return {
        "images per second": round(summary.images_per_second, 1),
        "seconds of explaining": round(summary.seconds, 1),
        "seconds of planning and compilation": round(summary.planning_seconds, 1),
        "seconds by stage": {title(name): round(seconds, 2) for name, seconds in summary.stages.items()},
        "seconds of tracing and compiling": {
            name: [round(seconds, 2) for seconds in both] for name, both in summary.programs.items()
        },
        "share of time waiting for": {name: round(share, 3) for name, share in summary.waiting.items()},
        "GFLOP/s by XLA's count": None if rate is None else round(rate / 1e9, 2),
        "XLA's count is whole": summary.operations_whole,
        "share of a matrix product's rate": None if share is None else round(share, 3),
        "peak memory (MB)": round(summary.peak_bytes / 1e6),
        "peak memory of a device (MB)": None if device is None else round(device / 1e6),
        "images in the last run": summary.images,
    }
