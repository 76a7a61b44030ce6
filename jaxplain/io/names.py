"""Many texts in one block of bytes: names of files may hold any byte, and there may be a million of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def to_bytes(text: str) -> bytes:
    """Return the bytes of a text; surrogates stand for bytes that are no UTF-8, as in `os.fsencode`."""
    return text.encode(errors="surrogateescape")


class Names(Sequence[str]):
    """Texts that lie in one block of bytes; undecodable bytes come as surrogates, as in `os.fsdecode`."""

    def __init__(self, blob: np.ndarray, offsets: np.ndarray):
        self._blob, self._offsets = blob, offsets

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Names":
        """Pack texts."""
        raw = [to_bytes(text) for text in texts]
        offsets = np.zeros(len(raw) + 1, np.int64)
        np.cumsum([len(one) for one in raw], out=offsets[1:])
        return cls(np.frombuffer(b"".join(raw), np.uint8), offsets)

    @classmethod
    def joined(cls, parts: Sequence["Names"]) -> "Names":
        """Put packed texts behind each other."""
        offsets, total = [np.zeros(1, np.int64)], 0
        for part in parts:
            offsets.append(part._offsets[1:] + total)
            total += len(part._blob)
        return cls(np.concatenate([np.zeros(0, np.uint8), *(part._blob for part in parts)]), np.concatenate(offsets))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        first, last = self._offsets[i % len(self)], self._offsets[i % len(self) + 1]
        return self._blob[first:last].tobytes().decode(errors="surrogateescape")

    @property
    def sound(self) -> bool:
        """Tell whether the offsets cut the bytes into texts."""
        ends = self._offsets
        whole = ends.ndim == 1 and len(ends) > 0 and ends[0] == 0 and ends[-1] == len(self._blob)
        return bool(whole and (np.diff(ends) >= 0).all())

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The bytes and the offsets, as they are stored."""
        return self._blob, self._offsets
