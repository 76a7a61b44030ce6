"""Global maps where no maps were kept: from the moments that every shard left."""

from collections.abc import Iterator, Mapping, Sequence

from jaxplain._errors import InputError
from jaxplain.aggregate.moments import Moments
from jaxplain.engine.job import Job
from jaxplain.engine.partials import merged_maps, partial_key, unpack
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
    status = store.rows("status")
    for name in methods:
        facts = (store.storage.node(f"maps/{name}") or {}).get("attributes", {})
        made = merged_maps(
            _parts(store, name),
            status,
            grouping=job.grouping(facts["target_axes"]),
            steps=job.steps,
            space=tuple(facts["space"]),
            dimensions=tuple(facts["dimensions"]),
        )
        write_groups(store.storage, name, made.groups, made.arrays, made.attributes, made.dimensions)


def _parts(store: Store, name: str) -> Iterator[Mapping[str, Moments]]:
    for shard in store.finished(name):
        key = partial_key(name, shard)
        raw = store.storage.read(key)
        if raw is None:
            raise InputError(f"{store.storage.where(key)}: not found; delete done/{name}/{shard:06d}.json to redo it.")
        yield unpack(raw)
