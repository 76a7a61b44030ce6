"""Refuse to write into a store of another job, and say in which keys the two differ."""

from collections.abc import Sequence
from typing import Any

from jaxplain._errors import InputError
from jaxplain.engine.job import Job
from jaxplain.io.manifest import KEY, differences, read_manifest
from jaxplain.io.storage import Storage

_LIMIT = 20


def refuse_other_job(job: Job, storage: Storage, ignore: Sequence[str] = ()) -> None:
    """Compare a job with what the output holds, if it holds anything.

    Methods are compared one by one: a store takes further methods, but not other settings under a name that it has.

    Args:
        job: The job.
        storage: The output.
        ignore: Keys of the job that may differ.

    Raises:
        InputError: With every key that differs.
    """
    if storage.read(KEY) is None:
        return
    manifest = read_manifest(storage)
    lines = differences(manifest.get("job", {}), dict(job.spec), ignore)
    request = {"precision": job.request.precision, "store": job.request.store}
    kept = {name: manifest.get("plan", {}).get(name) for name in request}
    lines += [f"plan.{line}" for line in differences(kept, request)]
    for explanation in job.explanations:
        stored = _stored_spec(storage, manifest, explanation.name)
        if stored is not None:
            lines += [f"methods.{explanation.name}.{line}" for line in differences(stored, dict(explanation.spec))]
    if lines:
        shown = [f"\n  {_explained(line)}" for line in lines[:_LIMIT]]
        more = f"\n  and {len(lines) - _LIMIT} more" if len(lines) > _LIMIT else ""
        raise InputError(
            f"{storage.url}: holds another job; choose another output, or restore what differs:{''.join(shown)}{more}"
        )


def _stored_spec(storage: Storage, manifest: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Return the settings of a method in the store; of one that was added later its group tells them."""
    known = manifest.get("methods", {}).get(name)
    if known is None:
        node = storage.node(f"maps/{name}")
        known = None if node is None else node.get("attributes", {}).get("spec")
    return known


_MEANINGS = {
    "model.parameters": "the weights have changed",
    "data.fingerprint": "the images or labels have changed",
}


def _explained(line: str) -> str:
    key = line.partition(":")[0]
    return f"{line} ({_MEANINGS[key]})" if key in _MEANINGS else line
