"""Run a job file from beginning to end: what ``jaxplain run`` and ``jaxplain.run`` do."""

import json
import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jaxplain.cli.build import Built, build, write_origin
from jaxplain.cli.compile_cache import compile_cache
from jaxplain.cli.globals import make_globals, up_to_date
from jaxplain.cli.jobfile import JobFile, load_job
from jaxplain.cli.other_job import refuse_other_job
from jaxplain.cli.partials import make_partial_globals
from jaxplain.cli.quarantine import Quarantined, quarantined
from jaxplain.engine import run as engine
from jaxplain.engine.events import Watcher, unwatched
from jaxplain.io.store import Store

FACTS = "run.json"
"""Key of the figures of the last run that explained anything: images/s, memory."""


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
        waiting_share: Share of the time of explaining in which the device waited for input.
        peak_bytes: Largest memory of this process so far.
        quarantined: Images that were left out, also by earlier runs.
        failed: Shards that could not be read, with the reason.
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
    waiting_share: float
    peak_bytes: int
    quarantined: tuple[Quarantined, ...]
    failed: dict[int, str]
    complete: bool
    aggregated: tuple[str, ...] = ()
    remark: str = ""


def run(job_file: str | Path, *, set: Iterable[str] = (), replan: bool = False, watch: Watcher = unwatched) -> Summary:
    """Explain every image of a job's source, and make the global maps when all are done.

    A killed run goes on where it was when it is called again.

    Args:
        job_file: The TOML file.
        set: Keys to change, as ``section.key=value``.
        replan: Go on although the store was begun on another kind of device.
        watch: Called with every event, see ``jaxplain.engine.events``.

    Returns:
        What was done; ``complete`` is false where shards failed, which the same call does again.

    Raises:
        InputError: The job does not fit; the message names the file, the key and the remedy.
        OSError: The output cannot be written.
    """
    return run_job(load_job(job_file, set), replan=replan, watch=watch)


def run_job(file: JobFile, *, replan: bool = False, watch: Watcher = unwatched) -> Summary:
    """Run a job that was read already; see ``run``."""
    with compile_cache(file, watch) as watch:
        return _run(file, replan, watch)


def _run(file: JobFile, replan: bool, watch: Watcher) -> Summary:
    built = build(file, watch)
    try:
        refuse_other_job(built.job, built.storage)
        done = engine.run(built.job, built.source, built.place, replan=replan, watch=watch)
        write_origin(built.storage, file)
        store = Store(built.storage)
        aggregated, remark = _aggregate(built, store, done, watch) if done.complete else ((), "")
        summary = Summary(
            output=built.storage.url,
            methods=tuple(explanation.name for explanation in built.job.explanations),
            total=len(built.source),
            images=done.images,
            images_per_second=done.images_per_second,
            seconds=done.seconds,
            planning_seconds=done.planning_seconds,
            programs={name: (one.trace_seconds, one.compile_seconds) for name, one in done.compiled.items()},
            waiting_share=done.waiting / done.seconds if done.seconds else 0.0,
            peak_bytes=_peak_bytes(),
            quarantined=quarantined(store, built.source.reasons),
            failed=dict(done.failed),
            complete=done.complete,
            aggregated=aggregated,
            remark=remark,
        )
        if done.images:
            _keep_facts(built, summary)
        built.storage.remove_leftovers()
        return summary
    finally:
        built.source.close()


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
    due = [name for name in names if done.images or not up_to_date(store, name, job.steps, job.select, job.exclude)]
    if due:
        make_globals(store, due, steps=job.steps, select=job.select, exclude=job.exclude, watch=watch)
    return tuple(names), ""


def _keep_facts(built: Built, summary: Summary) -> None:
    facts = {
        "images per second": round(summary.images_per_second, 1),
        "seconds of explaining": round(summary.seconds, 1),
        "seconds of planning and compilation": round(summary.planning_seconds, 1),
        "seconds of tracing and compiling": {
            name: [round(seconds, 2) for seconds in both] for name, both in summary.programs.items()
        },
        "share of time waiting for input": round(summary.waiting_share, 3),
        "peak memory (MB)": round(summary.peak_bytes / 1e6),
        "images in the last run": summary.images,
    }
    built.storage.write(FACTS, (json.dumps(facts, indent=1) + "\n").encode())


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
