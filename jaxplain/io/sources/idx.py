"""IDX files (the format of MNIST and Fashion-MNIST), plain or gzipped."""

import gzip
import math
import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.damage import naming_damage
from jaxplain.io.input import Input
from jaxplain.io.labels import check_labels
from jaxplain.io.sources.arrays import ArraySource, array_source
from jaxplain.io.sources.npy import MAX_UNPACKED, read_labels
from jaxplain.io.sources.rowfile import RowFile

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_idx(path: str | os.PathLike[str]) -> Any:
    """Open an IDX file: a `RowFile`, or an array in memory when it is gzipped.

    Raises:
        InputError: Not an IDX file, truncated, or larger than it says.
    """
    where = os.fspath(path)
    with naming_damage(where, "a sound gzip file"), open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not zipped:
            dtype, shape = _header(file, where)
            return RowFile(path, file.tell(), dtype, shape)
        with gzip.open(file) as plain:
            return _unpack(plain, where)  # type: ignore[arg-type]


def idx_source(
    path: str | os.PathLike[str],
    *,
    labels: str | None = None,
    input: Input | None = None,
    names: Sequence[str] | None = None,
) -> ArraySource:
    """Make a source of an IDX file of images, with labels from an IDX, ``.npy`` or ``.csv`` file.

    Args:
        path: The images, plain or gzipped.
        labels: The file of the labels.
        input: What is done to the pixels.
        names: Class names.
    """
    pixels = open_idx(path)
    known = None
    if labels is not None:
        if labels.lower().endswith((".csv", ".npy")):
            known = read_labels(labels, len(pixels), names)
        else:
            known = check_labels(np.asarray(open_idx(labels)[:]), len(pixels), names, labels)
    return array_source(pixels, known, input=input, names=names, where=os.fspath(path))


def _header(file: BinaryIO, where: str) -> tuple[np.dtype, tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] < 1:
        raise InputError(f"{where}: not an IDX file (it begins with {magic!r}); check the path.")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InputError(f"{where}: truncated inside its header; copy it again.")
    return np.dtype(DTYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(sizes, ">u4"))


def _unpack(file: BinaryIO, where: str) -> np.ndarray:
    dtype, shape = _header(file, where)
    declared = math.prod(shape) * dtype.itemsize
    if declared > MAX_UNPACKED:
        raise InputError(f"{where}: declares {declared} bytes, more than {MAX_UNPACKED}; unpack it with gunzip first.")
    raw = file.read(declared)
    if len(raw) < declared:
        raise InputError(f"{where}: truncated, {declared} bytes are declared and {len(raw)} there; copy it again.")
    if file.read(1):
        raise InputError(f"{where}: holds more than the {declared} bytes that it declares; copy it again.")
    return np.frombuffer(raw, dtype).reshape(shape)
