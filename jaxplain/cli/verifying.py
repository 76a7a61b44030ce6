"""A store held against its digests, and a sample of its rows against the network."""

import time
import uuid

from jaxplain.cli.build import build
from jaxplain.cli.compile_cache import compile_cache
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.other_job import refuse_other_job
from jaxplain.engine.events import Advanced, Finished, Started, Watcher
from jaxplain.engine.job import Place
from jaxplain.engine.verify import Sampled, choose_rows, compare, recompute
from jaxplain.io.inspection import Inspection, inspect
from jaxplain.io.ledger import Ledger
from jaxplain.io.manifest import StoredManifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage
from jaxplain.io.store import Store

STAGE = "verify"


def inspect_store(storage: Storage, watch: Watcher) -> Inspection:
    """Hold every file of a store against what vouches for it; see ``jaxplain.io.inspection``."""
    began = time.perf_counter()

    def tell(done: int, total: int) -> None:
        watch(Advanced(STAGE, 1) if done else Started(STAGE, total))
        if done == total:
            watch(Finished(STAGE, time.perf_counter() - began))

    return inspect(storage, tell)


def verify_sample(file: JobFile, n: int, *, seed: int, watch: Watcher) -> Sampled:
    """Compute a sample of a job's rows again and compare it with the store.

    Args:
        file: The job.
        n: How many rows.
        seed: Of their choice.
        watch: Called with events.

    Raises:
        InputError: The output belongs to another job, or there is nothing to be computed again.
    """
    with compile_cache(file, watch) as watch:
        built = build(file, watch)
        scratch = Storage.open(f"memory://jaxplain-verify-{uuid.uuid4().hex}")
        try:
            refuse_other_job(built.job, built.storage)
            store = Store(built.storage)
            job, rows = choose_rows(built.job, store, n, seed=seed)
            place = Place(StoreSink(scratch), Ledger(scratch), StoredManifest(scratch))
            recompute(job, built.source, store, rows, place, watch=watch)
            return compare(job, store, Store(scratch), rows)
        finally:
            scratch.delete_all("")
            built.source.close()
