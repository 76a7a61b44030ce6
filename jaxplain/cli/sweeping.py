"""PEPPR over a finished store: the orders of its global maps, swept over the images of its job."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.aggregate.steps import FRACTIONS
from jaxplain.cli.baselines import read_baseline
from jaxplain.cli.build import Built, build
from jaxplain.cli.compile_cache import compile_cache
from jaxplain.cli.job import with_leases
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.other_job import refuse_other_job
from jaxplain.cli.sections import PepprSection
from jaxplain.engine.assignment import Part
from jaxplain.engine.events import Watcher
from jaxplain.engine.orders import global_orders
from jaxplain.engine.scores import StoredScores
from jaxplain.engine.sweep import Settings, sweep
from jaxplain.io.groups import read_groups
from jaxplain.io.ledger import Ledger
from jaxplain.io.sink import StoreSink
from jaxplain.io.store import Store

OF_THE_IMAGES = {"mean": "mean_image", "mean-image": "mean_image", "channel-mean": "channel_mean"}


@dataclass(frozen=True)
class Swept:
    """What a sweep came to.

    Args:
        output: Where the store is.
        results: The results, see ``jaxplain.aggregate.results``; empty while shards are missing.
        remark: Why there are no results.
        done: Whether this worker's part is swept; everything is its part where it steals.
    """

    output: str
    results: dict[str, Any]
    remark: str = ""
    done: bool = True


def sweep_job(file: JobFile, *, part: Part | None = None, watch: Watcher) -> Swept:
    """Sweep the global maps of a job's finished run.

    Args:
        file: The job.
        part: How this process takes part; by default as the only one.
        watch: Called with events.

    Raises:
        InputError: There is no finished run, or a key of ``[peppr]`` does not fit.
    """
    with compile_cache(file, watch) as watch:
        return _swept(file, part or Part(), watch)


def _swept(file: JobFile, part: Part, watch: Watcher) -> Swept:
    built = build(file, watch)
    try:
        store = Store(built.storage)
        refuse_other_job(built.job, built.storage)
        section = file.peppr
        orders = []
        for name in _methods(section, store, file):
            if not store.has_globals(name):
                raise InputError(
                    f"{store.storage.url}: no global maps of {name!r} yet; first run `jaxplain run {file.path}` to "
                    "its end."
                )
            orders += global_orders(
                name, read_groups(store.storage, name), section.groups, shape=_space(built), coarse=section.coarse
            )
        part = with_leases(part, built)
        scores = StoredScores(built.storage, StoreSink(built.storage), Ledger(built.storage))
        results = sweep(
            built.job.model,
            built.source,
            orders,
            _settings(built),
            space=_space(built),
            status=store.rows("status"),
            labels=_label_names(built),
            scores=scores,
            part=part,
            watch=watch,
        )
        if results is not None:
            return Swept(built.storage.url, results)
        finished = scores.finished()
        done = finished.issuperset(part.worker.order(scores.count, steal=part.steal))
        left = scores.count - len(finished)
        remark = f"{left} of {scores.count} shards are left" if left else "another worker measures the curves"
        return Swept(built.storage.url, {}, remark, done)
    finally:
        built.source.close()


def _methods(section: PepprSection, store: Store, file: JobFile) -> tuple[str, ...]:
    names = tuple(method.name for method in file.methods)
    for name in section.methods or ():
        if name not in names:
            raise unknown(file.where, "method of peppr.methods", name, names)
    return section.methods or names


def _space(built: Built) -> tuple[int, ...]:
    return tuple(built.source.shape[:-1]) or tuple(built.source.shape)


def _label_names(built: Built) -> list[str] | None:
    names, outputs = built.job.class_names, built.job.spec["model"]["outputs"]
    return list(names) if names and len(names) == outputs else None


def _settings(built: Built) -> Settings:
    section, where = built.file.peppr, f"{built.file.where}: peppr.baseline"
    steps = section.steps
    fractions: tuple[float, ...] = FRACTIONS
    if steps is not None:
        fractions = tuple(np.linspace(0, 1, steps + 1).tolist()) if isinstance(steps, int) else steps
    baseline: Any = section.baseline
    if isinstance(baseline, str) and baseline in OF_THE_IMAGES:
        baseline = OF_THE_IMAGES[baseline]
    else:
        baseline, _ = read_baseline(baseline, built.source.shape, built.file.folder, where)
    return Settings(
        fractions=fractions,
        baseline=baseline,
        n_images=section.images,
        n_random=section.controls,
        seed=built.job.seed,
        resamples=section.resamples,
        level=section.level,
        exclude=built.job.exclude,
        threshold=section.threshold,
        batch=section.batch,
        precision=built.job.request.precision,
        devices=built.job.request.devices,
    )
