"""Redo the shards that hold images which were left out.

An image file that was mended has another size or time, and so the folder another fingerprint. Where nothing but files
that were left out has changed, it is still the same job: ``mended.json`` says which fingerprint stands for which.
"""

import json

import numpy as np

from jaxplain.cli.build import MENDED, Built, build, index_of
from jaxplain.cli.job import Summary, run_job
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.other_job import refuse_other_job
from jaxplain.cli.quarantine import quarantined
from jaxplain.engine.assignment import Part
from jaxplain.engine.events import Watcher
from jaxplain.engine.open_run import probe
from jaxplain.engine.stop import Stop
from jaxplain.io.index import index_bytes
from jaxplain.io.inspection import forget_results
from jaxplain.io.manifest import replace_manifest
from jaxplain.io.store import INDEX, ROWS, Store


def retry_job(file: JobFile, *, stop: Stop, watch: Watcher) -> tuple[Summary, tuple[int, ...]]:
    """Unmark the shards with images that were left out and run the job.

    Args:
        file: The job.
        stop: A wish to end soon.
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
        left_out = quarantined(store)
        mended = _only_mended(built, store, [image.row for image in left_out])
        refuse_other_job(built.job, built.storage, ignore=("data.fingerprint",) if mended else ())
        if mended:
            _accept(built, store)
    finally:
        built.source.close()
    shards = tuple(sorted({image.shard for image in left_out}))
    if shards:
        _unmark(store, shards)
    return run_job(file, part=Part(stop=stop), watch=watch), shards


def _only_mended(built: Built, store: Store, left_out: list[int]) -> bool:
    """Tell whether the images are those of the store but for files that were left out."""
    before, now = store.index, index_of(built.source)
    if before is None or before.paths is None or now.paths is None:
        return False
    if len(before) != len(now) or not np.array_equal(before.id, now.id) or not np.array_equal(before.label, now.label):
        return False
    changed = np.flatnonzero((before.size != now.size) | (before.mtime_ns != now.mtime_ns))
    return len(changed) > 0 and bool(np.isin(changed, left_out).all())


def _accept(built: Built, store: Store) -> None:
    """Let the images as they are now stand for those of the store."""
    raw = built.storage.read(MENDED)
    known: dict[str, str] = {} if raw is None else json.loads(raw)
    known[built.source.fingerprint] = store.manifest["job"]["data"]["fingerprint"]
    # The outputs on the first images tell one network from another; a mended image among them changes its own.
    outputs = probe(built.job.model, built.source).tolist()
    manifest = {**store.manifest, "fingerprint": {**store.manifest["fingerprint"], "outputs": outputs}}
    replace_manifest(built.storage, manifest)
    built.storage.write(INDEX, index_bytes(index_of(built.source)))
    built.storage.write(MENDED, (json.dumps(known, indent=1) + "\n").encode())


def _unmark(store: Store, shards: tuple[int, ...]) -> None:
    """Declare shards unfinished, and everything that was made from them."""
    forget_results(store.storage)
    names = list(dict.fromkeys([*store.manifest.get("methods", {}), *store.names]))
    for name in names:
        store.ledger.unmark(f"global/{name}", 0)
    for shard in shards:
        for name in [*names, ROWS]:
            store.ledger.unmark(name, shard)
