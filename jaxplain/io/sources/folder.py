"""A folder of image files; what is in it is said by its index."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.index import Index, read_index, stale
from jaxplain.io.input import Input
from jaxplain.io.sources.decoding import MAX_FILE, Unreadable
from jaxplain.io.sources.encoded import EncodedSource, Fetch, decoding_threads, labels_of


@dataclass(frozen=True)
class Folder:
    """Image files in a folder; ids come from the paths inside it."""

    directory: str
    index: Index

    def name(self, row: int) -> str:
        """Return the path of an image, for messages."""
        return repr(f"{self.directory}/{self._path(row)}")

    def reading(self, rows: np.ndarray) -> AbstractContextManager[Fetch]:
        """Hold nothing open: every image is a file of its own."""
        return nullcontext(self.fetch)

    def fetch(self, row: int) -> bytes:
        """Read the file of an image.

        Raises:
            InputError: It is not the file that was indexed.
            Unreadable: It is larger than `MAX_FILE`.
        """
        path = self._path(row)
        if ".." in path.split("/") or path.startswith("/"):
            raise InputError(f"{self.name(row)}: leads out of the folder; run `jaxplain index {self.directory}` again.")
        with open(os.path.join(self.directory, path), "rb") as file:
            facts = os.fstat(file.fileno())
            if (facts.st_size, facts.st_mtime_ns) != (self.index.size[row], self.index.mtime_ns[row]):
                raise InputError(
                    f"{self.name(row)}: changed since it was indexed; run `jaxplain index {self.directory}` again."
                )
            if facts.st_size > MAX_FILE:
                raise Unreadable(f"a file of {facts.st_size} bytes, more than {MAX_FILE}")
            return file.read()

    def _path(self, row: int) -> str:
        return str((self.index.paths or ())[row])


def folder_source(
    directory: str | os.PathLike[str],
    *,
    labels: str | None = None,
    names: Sequence[str] | None = None,
    input: Input | None = None,
    index: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    check: bool = True,
) -> EncodedSource:
    """Make a source of a folder of images that has an index.

    Args:
        directory: The folder.
        labels: A CSV file; default the first folder on each path.
        names: Class names in the order of the label numbers; default the sorted names of the folders.
        input: What is done to the pixels; image files need a ``divisor``.
        index: The index, where it does not lie in the folder.
        threads: Decoding threads; default half of the cores, at most 16.
        check: Compare the folder with the index now (one look at every file). Each file is compared when read anyway.

    Raises:
        InputError: No folder, no index, an index that no longer fits the folder, or labels that do not fit.
    """
    root = os.fspath(directory)
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; check source.url.")
    known = read_index(index if index is not None else root)
    if check and (difference := stale(root, known)) is not None:
        raise InputError(
            f"{root}: the folder no longer fits its index: {difference}; run `jaxplain index {root}` again."
        )
    chosen = labels_of(root, known, labels, names)
    how = input if input is not None else Input()
    return EncodedSource(root, Folder(root, known), chosen, how, decoding_threads(threads))
