"""The source of a job: its address resolved, its labels found, a folder indexed if it has no index yet."""

import errno
import os

from jaxplain._errors import InputError
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.paths import resolved, resolved_url
from jaxplain.engine.events import Finished, Started, Watcher, unwatched
from jaxplain.io.index import INDEX_NAME, Index, build_index, index_bytes, write_index
from jaxplain.io.sources.base import Source
from jaxplain.io.sources.first import FirstRows
from jaxplain.io.sources.opening import open_source
from jaxplain.io.storage import Storage

_ZARR = ("zarr.json", ".zarray", ".zgroup")


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
    place = None if section.index is None else resolved(file.folder, section.index)
    if index:
        _index_folder(url, place, watch)
    try:
        source = open_source(
            url, file.input, labels=_labels(file, url), names=file.labels.names, index=place, threads=section.threads
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


def _index_folder(url: str, place: str | None, watch: Watcher) -> None:
    """Index a folder of images that has no index yet."""
    folder = url.removeprefix("folder://")
    if not os.path.isdir(folder) or any(os.path.exists(os.path.join(folder, name)) for name in _ZARR):
        return
    if os.path.exists(os.path.join(folder, INDEX_NAME) if place is None else place):
        return
    watch(Started("index", 0, facts={"folder": folder}))
    index = keep_index(folder, place)
    watch(Finished("index", 0.0, {"images": len(index)}))


def keep_index(folder: str, place: str | None) -> Index:
    """Index a folder and keep the index: in the folder, or in a file elsewhere.

    Raises:
        InputError: No such folder, no images, or a folder that cannot be written to.
    """
    index = build_index(folder)
    try:
        if place is None:
            write_index(folder, index)
        else:
            Storage.open(os.path.dirname(os.path.abspath(place))).write(os.path.basename(place), index_bytes(index))
    except OSError as error:
        if place is None and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(
                f"{folder}: cannot be written to; keep its index elsewhere: source.index in the job file, and "
                f"`jaxplain index {folder} --to FILE`."
            ) from error
        raise
    return index
