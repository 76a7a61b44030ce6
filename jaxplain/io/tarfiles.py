"""What lies where in a tar file: the members are found by their headers, and nothing is ever extracted.

Names of members are names and no paths. Links, devices and sparse files are refused, and so is what claims more than is
there: a tar file that was cut, or that goes on behind its end, would otherwise lose images without a word.
"""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from jaxplain._errors import InputError
from jaxplain.io.damage import naming_damage
from jaxplain.io.names import to_bytes

MAX_HEADER = 2**16
"""Extended headers that declare more bytes are refused before they are read."""
MAX_TAIL = 2**20
"""More zeros behind the end mark are refused unseen."""
MAX_NAME = 4096
"""Longer names, in bytes, are refused."""
MAX_MEMBERS = 10_000_000
"""More members in one file are refused."""
REMEDY = "write it again, as an uncompressed tar file of regular files"


@dataclass(frozen=True)
class Member:
    """A regular file inside a tar file: its name, the position of its first byte, its size."""

    name: str
    offset: int
    size: int


def members(path: str) -> Iterator[Member]:
    """Yield the regular files of a tar file, in its order.

    Raises:
        InputError: It is damaged, cut, compressed, or holds what is no regular file; the remedy is named.
        OSError: The file system failed.
    """
    with naming_damage(path, "a sound tar file", REMEDY), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        with tarfile.open(fileobj=_Headers(file, path), mode="r:") as archive:  # type: ignore[call-overload]
            count = 0
            while (one := archive.next()) is not None:
                archive.members.clear()  # of a million members none has to be remembered
                count += 1
                _check(one, path, size, count)
                if one.isreg():
                    yield Member(one.name, one.offset_data, one.size)
            end = archive.offset
        _check_end(file, path, end, size)


class _Headers:
    """A file of which only small pieces are read: a header that declares more is refused."""

    def __init__(self, file: BinaryIO, path: str):
        self._file, self._path = file, path
        self.seek, self.tell = file.seek, file.tell

    def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= MAX_HEADER:
            raise InputError(f"{self._path}: a header declares {n} bytes, at most {MAX_HEADER} are read; {REMEDY}.")
        return self._file.read(n)


def _check(one: tarfile.TarInfo, path: str, size: int, count: int) -> None:
    name = one.name if len(one.name) <= 80 else f"{one.name[:80]}..."
    if not one.isdir() and (one.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or one.sparse is not None):
        raise InputError(f"{path}: member {name!r} is no regular file (a link, a device or sparse); {REMEDY}.")
    if one.size < 0 or one.offset_data + (one.size if one.isreg() else 0) > size:
        raise InputError(
            f"{path}: truncated, member {name!r} declares {one.size} bytes from byte {one.offset_data} on, "
            f"the file has {size}; copy it again."
        )
    if len(to_bytes(one.name)) > MAX_NAME:
        raise InputError(f"{path}: member {name!r} has a name of more than {MAX_NAME} bytes; {REMEDY}.")
    if count > MAX_MEMBERS:
        raise InputError(f"{path}: more than {MAX_MEMBERS} members; write several files.")


def _check_end(file: BinaryIO, path: str, end: int, size: int) -> None:
    """Refuse a file that ends too early, or that goes on behind the blocks of zeros that end it."""
    file.seek(end)
    tail = file.read(MAX_TAIL)
    if len(tail) < tarfile.BLOCKSIZE:
        raise InputError(f"{path}: truncated, its end mark is missing at byte {end}; copy or write it again.")
    if any(tail[: tarfile.BLOCKSIZE]):
        raise InputError(f"{path}: the header at byte {end} is damaged; copy or write it again.")
    if any(tail) or size - end > MAX_TAIL:
        raise InputError(f"{path}: goes on behind its end at byte {end} (two tar files in one?); {REMEDY}.")
