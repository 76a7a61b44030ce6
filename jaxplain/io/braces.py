"""Many paths in one: ``train-{0000..0099}.tar`` and ``{train,extra}.tar``, or all archives of a folder."""

import itertools
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from jaxplain._errors import InputError
from jaxplain.io.names import to_bytes

MOST = 1_000_000
"""More paths are refused before they are written out."""
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")


def expanded(pattern: str) -> list[str]:
    """Write out the braces of a pattern, the last one running fastest.

    Args:
        pattern: Braces hold a range of whole numbers, padded with zeros as its first number is, or words and commas.

    Raises:
        InputError: Braces that hold neither, or stand for more than a million paths.

    Example:
        >>> expanded("{a,b}-{08..10}.tar")[:4]
        ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar']
    """
    pieces = _BRACES.split(pattern)
    choices = [_choices(piece, pattern) if number % 2 else (piece,) for number, piece in enumerate(pieces)]
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise InputError(f"{pattern}: a brace without its other; write ranges as {{0000..0099}}.")
    if (count := math.prod(len(choice) for choice in choices)) > MOST:
        raise InputError(f"{pattern}: stands for {count} paths, more than {MOST}; check the ranges.")
    return ["".join(parts) for parts in itertools.product(*choices)]


class _Numbers:
    """The numbers of a range as text, written when asked for."""

    def __init__(self, first: str, last: str):
        self._numbers, self._width = range(int(first), int(last) + 1), len(first)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return (f"{number:0{self._width}d}" for number in self._numbers)


def _choices(inner: str, pattern: str) -> "_Numbers | tuple[str, ...]":
    if (found := _RANGE.fullmatch(inner)) and int(found[1]) <= int(found[2]):
        return _Numbers(found[1], found[2])
    if "," not in inner:
        raise InputError(f"{pattern}: {{{inner}}} is no range and no list; write {{0000..0099}} or {{train,extra}}.")
    return tuple(inner.split(","))


def archives(where: str, suffix: str) -> tuple[str, list[str]]:
    """Find the archives that a folder or a pattern stands for.

    Args:
        where: A folder, a file, or a pattern of files.
        suffix: Ending of the archives of a folder.

    Returns:
        The folder that no brace reaches, and the archives as paths in it: of a folder sorted, of a pattern in order.

    Raises:
        InputError: There is none, or one of a pattern is missing or named twice.
    """
    if os.path.isdir(where):
        paths = [path.relative_to(where).as_posix() for path in Path(where).rglob(f"*{suffix}") if path.is_file()]
        found = sorted((path for path in paths if not path.rpartition("/")[2].startswith(".")), key=to_bytes)
        if not found:
            raise InputError(f"{where}: no files ending in {suffix}; check the path.")
        return where, found
    root = os.path.dirname(where.partition("{")[0])
    paths = expanded(where)
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        count = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}: no such file{count}; check source.url.")
    if len(set(paths)) < len(paths):
        raise InputError(f"{where}: names a file twice; every archive is read once.")
    return root, [os.path.relpath(path, root or ".") for path in paths]
