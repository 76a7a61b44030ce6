"""Images in encoded files, wherever these lie, decoded by threads; what there is, is said by an index.

Several images of a batch are decoded at once, and `read` may be called for several batches at once: the threads are
shared. A thread holds one encoded and one decoded image beside the batch that it fills.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io import status as codes
from jaxplain.io.index import Index
from jaxplain.io.input import Input
from jaxplain.io.labels import Labels, check_labels, read_label_csv
from jaxplain.io.retries import retrying
from jaxplain.io.sources.base import Rows, checked_rows, digest, label_rows
from jaxplain.io.sources.decoding import Unreadable, decode_image

PROBES = 64
MOST_THREADS = 16
Fetch = Callable[[int], bytes]
"""The encoded bytes of a row; raises `Unreadable`, `InputError` or `OSError`."""


class Container(Protocol):
    """Where encoded images lie."""

    @property
    def index(self) -> Index:
        """What is known of every image."""
        ...

    def name(self, row: int) -> str:
        """Return the name of an image for messages."""
        ...

    def reading(self, rows: np.ndarray) -> AbstractContextManager[Fetch]:
        """Hold open what the images of a batch are read from."""
        ...


class EncodedSource:
    """A source over encoded images.

    Args:
        where: Its name for messages.
        container: Where the images lie.
        labels: Their labels, if there are any.
        how: What is done to the pixels.
        threads: Decoding threads.
    """

    def __init__(self, where: str, container: Container, labels: Labels | None, how: Input, threads: int):
        self.index = container.index
        if self.index.paths is None or not len(self.index):
            raise InputError(f"{where}: the index names no images; run `jaxplain index {where}`.")
        self._where, self._container, self._how = where, container, how
        self.labels = None if labels is None else labels.values
        self.class_names = None if labels is None else labels.names
        self.ids = self.index.id
        self.names: Sequence[str] = self.index.paths
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
        with self._container.reading(picked) as fetch:
            filling = [self._pool.submit(self._fill, fetch, int(row), image[i]) for i, row in enumerate(picked)]
            wait(filling)  # all of them, also after an error: they read from what is closed behind this block
        for place, filled in enumerate(filling):
            status[place] = filled.result()
        return Rows(image, label_rows(self.labels, picked), self.ids[picked], status)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fill(self, fetch: Fetch, row: int, out: np.ndarray) -> int:
        try:
            pixels = self._decoded(fetch, row)
        except Unreadable as error:
            self.reasons[row] = str(error)
            return codes.UNREADABLE
        if pixels.shape != out.shape:
            raise InputError(
                f"{self._container.name(row)}: has shape {pixels.shape}, the first image {out.shape}; "
                "set input.resize or input.crop."
            )
        if not np.isfinite(pixels).all():
            self.reasons[row] = codes.REASONS[codes.BAD_PIXELS]
            return codes.BAD_PIXELS
        out[...] = pixels
        return codes.OK

    def _decoded(self, fetch: Fetch, row: int) -> np.ndarray:
        where = self._container.name(row)
        raw = retrying(lambda: fetch(row), where)
        try:
            return decode_image(raw, self._how)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error

    def _probe(self) -> tuple[int, ...]:
        reason, rows = "", np.arange(min(PROBES, len(self)))
        with self._container.reading(rows) as fetch:
            for row in rows:
                try:
                    return self._decoded(fetch, int(row)).shape
                except Unreadable as error:
                    reason = f"{self._container.name(int(row))}: {error}"
        raise InputError(f"{self._where}: none of the first {len(rows)} images can be read ({reason}).")


def decoding_threads(threads: int | None = None, *, shared: bool = True) -> int:
    """Return how many threads decode images.

    Args:
        threads: What is wished; default what the cores allow, at most 16.
        shared: Whether the network runs on the same cores, which then keeps half of them; else all but one decode.

    Raises:
        InputError: Fewer than one.

    Example:
        >>> decoding_threads(3)
        3
    """
    if threads is not None:
        if threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}.")
        return threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_THREADS, cores // 2 if shared else cores - 1))


def labels_of(where: str, index: Index, file: str | None, names: Sequence[str] | None) -> Labels | None:
    """Return the labels of indexed images: those of a CSV file, or the index's own in the order of the class names.

    Raises:
        InputError: Labels or names do not fit the images.
    """
    if file is not None:
        return read_label_csv(file, len(index), index.paths or (), names)
    found = index.labels
    if found is None or names is None:
        return found
    if found.names is None:
        return check_labels(found.values, len(index), names, where)
    number = {str(name): i for i, name in enumerate(names)}
    if set(found.names) <= set(number):  # the job's order of classes counts, not the alphabet
        table = np.array([*(number[name] for name in found.names), -1], np.int64)
        return check_labels(table[found.values], len(index), names, where)
    if len(names) == len(found.names):
        return Labels(found.values, tuple(str(name) for name in names))
    raise InputError(
        f"{where}: {len(found.names)} classes {found.names[:5]}, but {len(names)} class names; match them."
    )
