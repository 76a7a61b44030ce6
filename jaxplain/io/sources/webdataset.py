"""Images in tar files of the WebDataset form: members are read where they lie, never extracted; an index says where."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.index import Index, read_index
from jaxplain.io.input import Input
from jaxplain.io.retries import retrying
from jaxplain.io.shards import shard_facts, shard_index_place
from jaxplain.io.sources.decoding import MAX_FILE, Unreadable
from jaxplain.io.sources.encoded import EncodedSource, Fetch, decoding_threads, labels_of


@dataclass(frozen=True)
class Shards:
    """Members of tar files; ids come from the archive's path below ``root`` and the sample's key."""

    where: str
    root: str
    index: Index

    def name(self, row: int) -> str:
        """Return archive and member of an image, for messages."""
        return repr(os.path.join(self.root, str((self.index.paths or ())[row])))

    @contextmanager
    def reading(self, rows: np.ndarray) -> Iterator[Fetch]:
        """Hold open the archives of a batch, each of them compared with what was indexed.

        Raises:
            InputError: An archive is missing, or changed since it was indexed.
        """
        places = self.index.members
        if places is None:
            raise InputError(f"{self.where}: the index is of a folder of images; {self.remedy}.")
        with ExitStack() as stack:
            files = {int(shard): self._open(int(shard), stack) for shard in np.unique(places.shard[rows])}

            def fetch(row: int) -> bytes:
                size = int(self.index.size[row])
                if size > MAX_FILE:
                    raise Unreadable(f"a member of {size} bytes, more than {MAX_FILE}")
                raw = _exactly(files[int(places.shard[row])], size, int(places.offset[row]))
                if len(raw) < size:
                    raise InputError(f"{self.name(row)}: its archive was cut while in use; {self.remedy}.")
                return raw

            yield fetch

    @property
    def remedy(self) -> str:
        """What to do about archives that do not fit the index."""
        return f"run `jaxplain index {self.where}` again"

    def check(self) -> None:
        """Compare every archive with the index.

        Raises:
            InputError: One is missing, or changed since it was indexed.
        """
        for shard in range(0 if self.index.members is None else len(self.index.members.shards)):
            with ExitStack() as stack:
                self._open(shard, stack)

    def _open(self, shard: int, stack: ExitStack) -> int:
        places = self.index.members
        name = "" if places is None else str(places.shards[shard])
        if places is None or ".." in name.split("/") or name.startswith("/"):
            raise InputError(f"{self.where}: the index leads out of its folder; {self.remedy}.")
        path = os.path.join(self.root, name)
        try:
            file = retrying(lambda: os.open(path, os.O_RDONLY), path)
        except FileNotFoundError:
            raise InputError(f"{path}: no such archive, it was indexed; {self.remedy}.") from None
        stack.callback(os.close, file)
        first = int(np.searchsorted(places.shard, shard))  # rows of an archive follow each other
        time = int(self.index.mtime_ns[first]) if first < len(self.index) and places.shard[first] == shard else None
        size, mtime = shard_facts(os.fstat(file))
        if size != places.shard_size[shard] or time not in (None, mtime):
            raise InputError(f"{path}: changed since it was indexed; {self.remedy}.")
        return file


def webdataset_source(
    where: str | os.PathLike[str],
    *,
    labels: str | None = None,
    names: Sequence[str] | None = None,
    input: Input | None = None,
    index: str | os.PathLike[str] | None = None,
    threads: int | None = None,
) -> EncodedSource:
    """Make a source of tar files that have an index.

    Args:
        where: A folder of ``.tar`` files, or a pattern such as ``train-{0000..0099}.tar``.
        labels: A CSV file; default what ``.cls`` or ``.json`` members say.
        names: Class names in the order of the label numbers; default the sorted labels, where they are words.
        input: What is done to the pixels; image files need a ``divisor``.
        index: The index, where it does not lie beside the archives.
        threads: Decoding threads; default half of the cores, at most 16.

    Raises:
        InputError: No archives, no index, an index that no longer fits them, or labels that do not fit.
    """
    url = os.fspath(where)
    if "://" in url:
        raise InputError(f"{url}: tar files are read from a file system; mount the bucket, or copy them.")
    place = shard_index_place(url) if index is None else os.fspath(index)
    try:
        known = read_index(place)
    except InputError as error:
        raise InputError(f"{error} For tar files: `jaxplain index {url}`.") from error
    root = url if os.path.isdir(url) else os.path.dirname(url.partition("{")[0])
    shards = Shards(url, root, known)
    shards.check()
    chosen = labels_of(url, known, labels, names)
    how = input if input is not None else Input()
    return EncodedSource(url, shards, chosen, how, decoding_threads(threads))


def _exactly(file: int, size: int, offset: int) -> bytes:
    """Read so many bytes, fewer only at the end of the file."""
    raw = os.pread(file, size, offset)
    while len(raw) < size and (more := os.pread(file, size - len(raw), offset + len(raw))):
        raw += more
    return raw
