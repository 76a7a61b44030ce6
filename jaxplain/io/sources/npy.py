"""``.npy`` and ``.npz`` files: uncompressed ones are read where they lie, compressed ones into memory; never pickle."""

import math
import os
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.io.damage import naming_damage
from jaxplain.io.input import Input
from jaxplain.io.labels import Labels, check_labels, read_label_csv
from jaxplain.io.npyformat import read_header, read_whole
from jaxplain.io.sources.arrays import ArraySource, array_source
from jaxplain.io.sources.rowfile import RowFile

MAX_UNPACKED = 8 * 2**30
"""Bytes that a compressed member may declare; beyond that it is refused before unpacking."""


def open_npy(path: str | os.PathLike[str]) -> Any:
    """Open the array of a ``.npy`` file: a `RowFile`, or an array in memory when it is Fortran-ordered."""
    where = os.fspath(path)
    with naming_damage(where, "a .npy array"), open(path, "rb") as file:
        return _locate(file, where, where, os.fstat(file.fileno()).st_size)


def open_npz_member(path: str | os.PathLike[str], key: str) -> Any:
    """Open one array of a ``.npz`` file: a `RowFile` when it is stored uncompressed, else an array in memory."""
    where = f"{os.fspath(path)}[{key}]"
    with naming_damage(os.fspath(path), "a sound .npz archive"), zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): archive.getinfo(name) for name in archive.namelist()}
        if key not in members:
            raise unknown(os.fspath(path), "array", key, members)
        member = members[key]
        if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
            with open(path, "rb") as file:
                _skip_local_header(file, member.header_offset, where)
                return _locate(file, os.fspath(path), where, file.tell() + member.file_size)
        if member.file_size > MAX_UNPACKED:
            raise InputError(
                f"{where}: declares {member.file_size} bytes, more than {MAX_UNPACKED}; store it uncompressed."
            )
        with archive.open(member) as file:
            return read_whole(file, member.file_size, where)


def npz_source(
    path: str | os.PathLike[str],
    *,
    images: str = "images",
    labels: str | None = None,
    input: Input | None = None,
    names: Sequence[str] | None = None,
) -> ArraySource:
    """Make a source of a ``.npz`` file.

    Args:
        path: The file.
        images: Key of the images.
        labels: Key of the labels, or the path of a ``.npy`` or ``.csv`` file; default ``"labels"``, if it is a key.
        input: What is done to the pixels.
        names: Class names.

    Raises:
        InputError: A key is missing (the nearest are named), or what is stored does not fit.
    """
    pixels = open_npz_member(path, images)
    keys = npz_keys(path)
    chosen = labels if labels is not None else ("labels" if "labels" in keys else None)
    if chosen is None:
        known = None
    elif chosen in keys or not chosen.endswith((".npy", ".csv", ".npz")):
        known = check_labels(
            np.asarray(open_npz_member(path, chosen)[:]), len(pixels), names, f"{os.fspath(path)}[{chosen}]"
        )
    else:
        known = read_labels(chosen, len(pixels), names)
    return array_source(pixels, known, input=input, names=names, where=f"{os.fspath(path)}[{images}]")


def npy_source(
    path: str | os.PathLike[str],
    *,
    labels: str | None = None,
    input: Input | None = None,
    names: Sequence[str] | None = None,
) -> ArraySource:
    """Make a source of a ``.npy`` file, with labels from a ``.npy`` or ``.csv`` file."""
    pixels = open_npy(path)
    known = None if labels is None else read_labels(labels, len(pixels), names)
    return array_source(pixels, known, input=input, names=names, where=os.fspath(path))


def read_labels(path: str, n: int, names: Sequence[str] | None) -> Labels:
    """Read labels of ``n`` images in the order of the images from a ``.npy`` or ``.csv`` file."""
    if path.lower().endswith(".csv"):
        return read_label_csv(path, n, None, names)
    if path.lower().endswith(".npy"):
        return check_labels(np.asarray(open_npy(path)[:]), n, names, path)
    raise InputError(f"{path}: labels come from a .npy or .csv file; convert it.")


def npz_keys(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the arrays of a ``.npz`` file."""
    with naming_damage(os.fspath(path), "a sound .npz archive"), zipfile.ZipFile(path) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def _skip_local_header(file: BinaryIO, start: int, where: str) -> None:
    file.seek(start)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\3\4":
        raise InputError(f"{where}: not a sound .npz archive (local header); copy or write it again.")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)


def _locate(file: BinaryIO, path: str, where: str, end: int) -> Any:
    shape, fortran, dtype = read_header(file, where)
    offset, size = file.tell(), math.prod(shape) * dtype.itemsize
    if offset + size > end:
        raise InputError(f"{where}: truncated, {size} bytes are declared and {end - offset} there; copy it again.")
    if not fortran or len(shape) == 1:
        return RowFile(path, offset, dtype, shape)
    return np.frombuffer(file.read(size), dtype).reshape(shape, order="F")
