"""Redo the shards that hold images which were left out."""

from jaxplain.cli.build import build
from jaxplain.cli.job import Summary, run_job
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.other_job import refuse_other_job
from jaxplain.cli.quarantine import quarantined
from jaxplain.engine.events import Watcher
from jaxplain.io.store import ROWS, Store


def retry_job(file: JobFile, *, watch: Watcher) -> tuple[Summary, tuple[int, ...]]:
    """Unmark the shards with images that were left out and run the job.

    Args:
        file: The job.
        watch: Called with events.

    Returns:
        What the run did, and the shards that were redone.

    Raises:
        InputError: The output belongs to another job, or there is none.
    """
    built = build(file, watch)
    # Everything is checked before the first marker goes: a store of another job stays as it is.
    try:
        store = Store(built.storage)
        refuse_other_job(built.job, built.storage)
        shards = tuple(sorted({image.shard for image in quarantined(store)}))
    finally:
        built.source.close()
    names = [name for name in dict.fromkeys([*store.manifest.get("methods", {}), *store.names, ROWS])]
    for shard in shards:
        for name in names:
            store.ledger.unmark(name, shard)
    return run_job(file, watch=watch), shards
