"""The job of a store, where only the store is named: it names code, so it is read by those who trust it."""

import json
import os
from pathlib import Path

from jaxplain._errors import InputError
from jaxplain.cli.build import ORIGIN
from jaxplain.cli.jobfile import JobFile, load_job, read_job
from jaxplain.cli.overrides import override
from jaxplain.io.storage import Storage
from jaxplain.io.store import open_store


def job_of(path: str, changes: list[str], *, trust: bool, command: str) -> JobFile:
    """Return the job of a job file, or of a store that is trusted.

    Args:
        path: A job file, or a store.
        changes: Keys to set.
        trust: Whether the code that a store names may be imported.
        command: The command, for messages.

    Raises:
        InputError: The store is not trusted, or does not know its job.
    """
    if os.path.isfile(path) or path.endswith(".toml"):
        return load_job(path, changes)
    store = open_store(path)
    factory = store.manifest.get("job", {}).get("model", {}).get("factory")
    if not trust:
        raise InputError(
            f"{command}: {path} is a store and names the code of its network ({factory}), which would be imported; "
            f"name the job file instead, or pass --trust if you know where the store comes from."
        )
    return stored_job(store.storage, changes)


def stored_job(storage: Storage, changes: list[str]) -> JobFile:
    """Return the job that a store was made with, its paths as they were then and its output where it is now.

    Raises:
        InputError: The store does not know it.
    """
    where = storage.where(ORIGIN)
    raw = storage.read(ORIGIN)
    if raw is None:
        raise InputError(f"{where}: not found; name the job file instead.")
    try:
        origin = json.loads(raw)
        table, file = dict(origin["job"]), Path(origin["file"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{where}: damaged ({error}); name the job file instead.") from error
    url = storage.url if "://" in storage.url else os.path.abspath(storage.url)
    return read_job(override({**table, "output": url}, changes), file)
