"""Coarse maps brought to the size of their examples: what a method left out as its last step, done on reading.

Class activation maps and rollouts end in an upsampling, which adds no content: of a map of 7 x 7 on images of 224 x 224
a store needs a thousandth of the bytes. The array of such maps says in its attribute ``upsampling`` how they become the
maps that were asked for, as ``jax.image.resize`` does it without antialiasing, in float32:

* "bilinear" reads between the centers of the positions and repeats the edge: output i of n lies at
  ``(i + 1/2) m / n - 1/2`` of the m positions;
* "nearest" takes the position ``floor((i + 1/2) m / n)``.

An output of either is an average of positions, so its error is at most the largest error of the stored map.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from jaxplain._errors import InputError, unknown

ATTRIBUTE = "upsampling"
METHODS = ("bilinear", "nearest")
_PIECE = 1 << 17  # values worked on together: 0.5 MB, which stays in the processor's cache


@dataclass(frozen=True)
class Upsampling:
    """How stored maps become maps of their examples' size.

    Args:
        method: "bilinear" or "nearest".
        space: Lengths of the axes of space.
        dimensions: Their names; stored under the same names with ``coarse_`` in front.

    Raises:
        InputError: Another method, or lengths and names that do not go together.

    Example:
        >>> Upsampling("bilinear", (4,), ("x",))(np.array([[0.0, 4.0]], np.float32)).tolist()
        [[0.0, 1.0, 3.0, 4.0]]
    """

    method: str
    space: tuple[int, ...]
    dimensions: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown("upsampling", "method", str(self.method), METHODS)
        object.__setattr__(self, "space", tuple(self.space))
        object.__setattr__(self, "dimensions", tuple(self.dimensions))
        sound = all(isinstance(length, int) and length > 0 for length in self.space)
        if not sound or not self.space or len(self.space) != len(self.dimensions):
            raise InputError(
                f"upsampling: the space {self.space} with the dimensions {self.dimensions} is no size of maps; "
                "expected a positive length and a name for each axis."
            )

    @classmethod
    def of(cls, attributes: Mapping[str, Any], where: str) -> "Upsampling | None":
        """Return what an array's attributes say, or None where its maps are what they are.

        Args:
            attributes: Of the array ``value``.
            where: The array, for messages.

        Raises:
            InputError: The attribute is damaged.
        """
        record = attributes.get(ATTRIBUTE)
        if record is None:
            return None
        try:
            return cls(record["method"], tuple(record["space"]), tuple(record["dimensions"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: its attribute {ATTRIBUTE!r} cannot be read ({error}); restore it.") from error

    def record(self) -> dict[str, Any]:
        """Return the attributes of an array whose maps are upsampled on reading."""
        own = {"method": self.method, "space": list(self.space), "dimensions": list(self.dimensions)}
        return {ATTRIBUTE: own}

    @property
    def stored_dimensions(self) -> tuple[str, ...]:
        """Names of the axes of space of the stored maps."""
        return tuple(f"coarse_{name}" for name in self.dimensions)

    def __call__(self, maps: np.ndarray) -> np.ndarray:
        """Return maps ``(..., *space)`` of stored maps ``(..., *coarse space)``, float32."""
        front, coarse = maps.shape[: -len(self.space)], maps.shape[-len(self.space) :]
        stack = np.asarray(maps, np.float32).reshape(-1, *coarse)
        full = np.empty((len(stack), *self.space), np.float32)
        step = max(1, _PIECE // prod(self.space))
        for first in range(0, len(stack), step):
            full[first : first + step] = self._piece(stack[first : first + step])
        return full.reshape(*front, *self.space)

    def _piece(self, maps: np.ndarray) -> np.ndarray:
        # The last axis first: the largest step then copies whole rows.
        for axis, length in reversed(list(enumerate(self.space, 1))):
            n = maps.shape[axis]
            if n == length:
                continue
            if self.method == "nearest":
                maps = np.take(maps, _nearest(n, length), axis=axis)
                continue
            below, above, share = _between(n, length)
            share = share.reshape(-1, *(1 for _ in maps.shape[axis + 1 :]))
            # Two products, as in the sum over all positions: exact where a share is one.
            low, high = np.take(maps, below, axis=axis), np.take(maps, above, axis=axis)
            low *= 1 - share
            high *= share
            low += high
            maps = low
        return maps


@functools.lru_cache(maxsize=64)
def _nearest(n: int, length: int) -> np.ndarray:
    """Return the position that each output takes."""
    return (2 * np.arange(length) + 1) * n // (2 * length)


@functools.lru_cache(maxsize=64)
def _between(n: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each output the positions on either side, and the share of the second, float32."""
    place = np.clip((np.arange(length) + 0.5) * n / length - 0.5, 0, n - 1)
    below = np.floor(place).astype(np.int64)
    return below, np.minimum(below + 1, n - 1), (place - below).astype(np.float32)
