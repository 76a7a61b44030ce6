"""A folder of image files, decoded by a few threads; what is in it is said by its index."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io import status as codes
from jaxplain.io.index import Index, read_index, stale
from jaxplain.io.input import Input
from jaxplain.io.labels import Labels, check_labels, read_label_csv
from jaxplain.io.retries import retrying
from jaxplain.io.sources.base import Rows, checked_rows, digest, label_rows
from jaxplain.io.sources.decoding import MAX_FILE, Unreadable, decode_image

_PROBES = 64


class FolderSource:
    """A source over the images of a folder; ids come from the paths inside it."""

    def __init__(self, directory: str, index: Index, labels: Labels | None, how: Input, threads: int):
        if index.paths is None or not len(index):
            raise InputError(f"{directory}: the index names no images; run `jaxplain index {directory}`.")
        self.directory, self.index = directory, index
        self._how = how
        self.labels = None if labels is None else labels.values
        self.class_names = None if labels is None else labels.names
        self.ids = index.id
        self.names: Sequence[str] = index.paths
        self.reasons: dict[int, str] = {}
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="jaxplain-decode")
        self.shape = self._probe()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def fingerprint(self) -> str:
        """Hash over paths, sizes and times of the files, and over the labels."""
        labels = b"" if self.labels is None else self.labels
        return digest(self.index.fingerprint, labels)

    def read(self, rows: Sequence[int] | np.ndarray) -> Rows:
        """Read rows; an image that cannot be decoded has status `UNREADABLE` and arrives as zeros.

        Raises:
            InputError: A file is not the one that was indexed, or its size does not fit the others.
            OSError: The file system failed, also after retries.
        """
        picked = checked_rows(rows, len(self))
        image = np.zeros((len(picked), *self.shape), np.float32)
        status = np.zeros(len(picked), np.uint8)

        def fill(place: int) -> None:
            status[place] = self._read_one(int(picked[place]), image[place])

        for _ in self._pool.map(fill, range(len(picked))):
            pass
        return Rows(image, label_rows(self.labels, picked), self.ids[picked], status)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_one(self, row: int, out: np.ndarray) -> int:
        try:
            pixels = self._decoded(row)
        except Unreadable as error:
            self.reasons[row] = str(error)
            return codes.UNREADABLE
        if pixels.shape != out.shape:
            raise InputError(
                f"{self._where(row)}: has shape {pixels.shape}, the first image {out.shape}; "
                "set input.resize or input.crop."
            )
        if not np.isfinite(pixels).all():
            self.reasons[row] = codes.REASONS[codes.BAD_PIXELS]
            return codes.BAD_PIXELS
        out[...] = pixels
        return codes.OK

    def _decoded(self, row: int) -> np.ndarray:
        raw = retrying(lambda: self._bytes(row), self._where(row))
        try:
            return decode_image(raw, self._how)
        except InputError as error:
            raise InputError(f"{self._where(row)}: {error}") from error

    def _bytes(self, row: int) -> bytes:
        where = self._where(row)
        if ".." in self.names[row].split("/") or self.names[row].startswith("/"):
            raise InputError(f"{where}: leads out of the folder; run `jaxplain index {self.directory}` again.")
        with open(os.path.join(self.directory, self.names[row]), "rb") as file:
            facts = os.fstat(file.fileno())
            if (facts.st_size, facts.st_mtime_ns) != (self.index.size[row], self.index.mtime_ns[row]):
                raise InputError(f"{where}: changed since it was indexed; run `jaxplain index {self.directory}` again.")
            if facts.st_size > MAX_FILE:
                raise Unreadable(f"a file of {facts.st_size} bytes, more than {MAX_FILE}")
            return file.read()

    def _where(self, row: int) -> str:
        return repr(f"{self.directory}/{self.names[row]}")

    def _probe(self) -> tuple[int, ...]:
        reason = ""
        for row in range(min(_PROBES, len(self))):
            try:
                return self._decoded(row).shape
            except Unreadable as error:
                reason = f"{self._where(row)}: {error}"
        raise InputError(
            f"{self.directory}: none of the first {min(_PROBES, len(self))} images can be read ({reason})."
        )


def folder_source(
    directory: str | os.PathLike[str],
    *,
    labels: str | None = None,
    names: Sequence[str] | None = None,
    input: Input | None = None,
    index: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    check: bool = True,
) -> FolderSource:
    """Make a source of a folder of images that has an index.

    Args:
        directory: The folder.
        labels: A CSV file; default the first folder on each path.
        names: Class names in the order of the label numbers; default the sorted names of the folders.
        input: What is done to the pixels; image files need a ``divisor``.
        index: The index, where it does not lie in the folder.
        threads: Decoding threads; default the number of cores, at most 8.
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
    if labels is not None:
        chosen: Labels | None = read_label_csv(labels, len(known), known.paths or (), names)
    else:
        chosen = _folder_labels(root, known, names)
    count = threads if threads is not None else min(8, os.cpu_count() or 1)
    if count < 1:
        raise InputError(f"threads must be at least 1, got {threads}.")
    return FolderSource(root, known, chosen, input if input is not None else Input(), count)


def _folder_labels(root: str, index: Index, names: Sequence[str] | None) -> Labels | None:
    found = index.labels
    if found is None or names is None or found.names is None:
        return found
    number = {str(name): i for i, name in enumerate(names)}
    if set(found.names) <= set(number):  # the job's order of classes counts, not the alphabet
        table = np.array([*(number[name] for name in found.names), -1], np.int64)
        return check_labels(table[found.values], len(index), names, root)
    if len(names) == len(found.names):
        return Labels(found.values, tuple(str(name) for name in names))
    raise InputError(
        f"{root}: {len(found.names)} class folders {found.names[:5]}, but {len(names)} class names; match them."
    )
