"""The source of a job: its address resolved, its labels found, a folder indexed if it has no index yet."""

import os

from jaxplain._errors import InputError
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.paths import resolved, resolved_url
from jaxplain.engine.events import Finished, Started, Watcher, unwatched
from jaxplain.io.index import INDEX_NAME, build_index, write_index
from jaxplain.io.sources.base import Source
from jaxplain.io.sources.first import FirstRows
from jaxplain.io.sources.opening import open_source


def open_images(file: JobFile, watch: Watcher = unwatched, *, index: bool = True) -> Source:
    """Open the source of a job.

    Args:
        file: The job file.
        watch: Told of a folder that has to be indexed.
        index: Whether to index a folder that has no index.

    Raises:
        InputError: A missing file, labels that do not fit, keys that contradict each other.
    """
    section = file.source
    if section.labels is not None and file.labels.file is not None:
        raise InputError(f"{file.where}: source.labels and labels.file are the same thing; keep one.")
    url = resolved_url(file.folder, section.url)
    if index:
        _index_folder(url, watch)
    try:
        source = open_source(
            url, file.input, labels=_labels(file, url), names=file.labels.names, threads=section.threads
        )
    except InputError as error:
        raise InputError(f"{file.where}: {error}") from error
    return source if section.limit is None else FirstRows(source, section.limit)


def _labels(file: JobFile, url: str) -> str | None:
    """Return the labels as a path, or as the key of an array beside the images."""
    given = file.labels.file if file.labels.file is not None else file.source.labels
    if given is None:
        return None
    path = resolved(file.folder, given)
    holds_keys = url.startswith(("npz://", "zarr://", "s3://", "gs://", "memory://")) or url.endswith(".npz")
    is_key = holds_keys and file.labels.file is None and not os.path.exists(path)
    return given if is_key and not given.lower().endswith((".csv", ".npy")) else path


def _index_folder(url: str, watch: Watcher) -> None:
    folder = url.removeprefix("folder://")
    inside = os.path.isdir(folder) and not any(
        os.path.exists(os.path.join(folder, name)) for name in (INDEX_NAME, "zarr.json", ".zarray", ".zgroup")
    )
    if not inside:
        return
    watch(Started("index", 0, facts={"folder": folder}))
    index = build_index(folder)
    write_index(folder, index)
    watch(Finished("index", 0.0, {"images": len(index)}))
