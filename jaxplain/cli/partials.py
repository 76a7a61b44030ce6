"""Global maps where no maps were kept: from the moments that every shard left."""

from collections.abc import Sequence
from functools import partial

from jaxplain.engine.job import Job
from jaxplain.engine.partials import finalize_partials
from jaxplain.io.groups import write_groups
from jaxplain.io.store import Store


def make_partial_globals(store: Store, job: Job, methods: Sequence[str]) -> None:
    """Merge the moments of all shards, in the order of the shards, and write the global maps.

    Args:
        store: The store, every shard of it finished.
        job: The job, whose steps and selection were fixed when the run began.
        methods: Names of the methods.

    Raises:
        InputError: A shard's moments are missing or damaged.
    """
    attributes = {name: dict((store.storage.node(f"maps/{name}") or {})["attributes"]) for name in methods}
    for name in methods:
        finalize_partials(
            store.storage.read,
            partial(write_groups, store.storage),
            methods={name: attributes[name]},
            n_shards=len(store.finished(name)),
            status=store.rows("status"),
            grouping=job.grouping(attributes[name]["target_axes"]),
            steps=job.steps,
        )
