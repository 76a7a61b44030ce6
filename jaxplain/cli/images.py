"""The source of a job: its address resolved, its labels found, image files indexed if they have no index yet."""

import errno
import os

import jax

from jaxplain._errors import InputError
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.paths import resolved, resolved_url
from jaxplain.engine.events import Finished, Started, Watcher, unwatched
from jaxplain.io.index import INDEX_NAME, Index, build_index, write_index
from jaxplain.io.shards import build_shard_index, shard_index_place
from jaxplain.io.sources.base import Source
from jaxplain.io.sources.encoded import decoding_threads
from jaxplain.io.sources.first import FirstRows
from jaxplain.io.sources.opening import INDEXED, kind_of, open_source


def open_images(file: JobFile, watch: Watcher = unwatched, *, index: bool = True) -> Source:
    """Open the source of a job.

    Args:
        file: The job file.
        watch: Told of image files that have to be indexed.
        index: Whether to index image files that have no index.

    Raises:
        InputError: A missing file, labels that do not fit, keys that contradict each other.
    """
    section = file.source
    if section.labels is not None and file.labels.file is not None:
        raise InputError(f"{file.where}: source.labels and labels.file are the same thing; keep one.")
    url = resolved_url(file.folder, section.url)
    place = None if section.index is None else resolved(file.folder, section.index)
    try:
        threads = decoding_threads(section.threads, shared=jax.default_backend() == "cpu")
        if index:
            _index(url, place, watch)
        source = open_source(
            url, file.input, labels=_labels(file, url), names=file.labels.names, index=place, threads=threads
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


def _index(url: str, place: str | None, watch: Watcher) -> None:
    """Index image files that have no index yet."""
    kind, where = kind_of(url)
    if kind not in INDEXED or "://" in where or os.path.exists(index_place(kind, where) if place is None else place):
        return
    watch(Started("index", 0, facts={"folder": where}))
    _, index = keep_index(url, place)
    watch(Finished("index", 0.0, {"images": len(index)}))


def index_place(kind: str, where: str) -> str:
    """Return where an index is kept if nobody says otherwise."""
    return os.path.join(where, INDEX_NAME) if kind == "folder" else shard_index_place(where)


def keep_index(url: str, place: str | None) -> tuple[str, Index]:
    """Index image files and keep the index: beside them, or in a file elsewhere.

    Args:
        url: A folder of images, or tar files as ``open_source`` takes them.
        place: Where the index goes.

    Returns:
        Where it is, and the index.

    Raises:
        InputError: No such files, no images, a damaged archive, or a folder that cannot be written to.
    """
    kind, where = kind_of(url)
    if kind not in INDEXED and "://" in url:
        raise InputError(f"{url}: sources of kind {kind!r} need no index; folders and tar files of images have one.")
    index = build_shard_index(where) if kind == "webdataset" else build_index(where)
    target = os.path.abspath(index_place(kind, where) if place is None else place)
    try:
        write_index(os.path.dirname(target), index, os.path.basename(target))
    except OSError as error:
        if place is None and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError(
                f"{where}: cannot be written to; keep its index elsewhere: source.index in the job file, and "
                f"`jaxplain index {where} --to FILE`."
            ) from error
        raise
    return target if place is not None else index_place(kind, where), index
