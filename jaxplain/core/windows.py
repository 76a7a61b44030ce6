"""Sliding windows over an array's axes, for methods that hide a patch at a time."""

import math

import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array


@pytree
class Windows:
    """All positions of a window that moves by a stride; the last one may reach past the edge and is cut there.

    Args:
        shape: The axes that the window moves over.
        window: Its size along each of them.
        stride: Its step along each of them, at most its size, so that every entry is covered.

    Raises:
        InputError: Sizes that do not fit.
    """

    shape: tuple[int, ...] = static()
    window: tuple[int, ...] = static()
    stride: tuple[int, ...] = static()

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of positions along each axis."""
        return tuple(math.ceil((size - width) / step) + 1 for size, width, step in self._axes())

    def __len__(self) -> int:
        return math.prod(self.grid)

    def mask(self, number: Array) -> Array:
        """Return the boolean mask, true inside the window with this number (row-major)."""
        inside = jnp.ones((1,) * len(self.shape), bool)
        for axis, (start, (size, width, step)) in enumerate(
            zip(jnp.unravel_index(number, self.grid), self._axes(), strict=True)
        ):
            offset = jnp.arange(size, dtype=jnp.int32) - start.astype(jnp.int32) * step
            along = (offset >= 0) & (offset < width)
            inside = inside & jnp.expand_dims(along, tuple(other for other in range(len(self.shape)) if other != axis))
        return inside

    def coverage(self) -> np.ndarray:
        """Return how many windows cover each entry."""
        counts = np.ones((1,) * len(self.shape))
        for axis, ((size, width, step), positions) in enumerate(zip(self._axes(), self.grid, strict=True)):
            offset = np.arange(size)[None] - np.arange(positions)[:, None] * step
            along = ((offset >= 0) & (offset < width)).sum(axis=0)
            counts = counts * np.expand_dims(along, tuple(other for other in range(len(self.shape)) if other != axis))
        return counts

    def _axes(self) -> zip:  # type: ignore[type-arg]
        return zip(self.shape, self.window, self.stride, strict=True)


def check_windows(where: str, shape: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...]) -> None:
    """Refuse windows that exceed the axes, or strides that leave entries uncovered.

    Args:
        where: Who asks, for messages.
        shape: Shape of one example.
        window, stride: Sizes along each of its axes, or of those without the channels.

    Raises:
        InputError: With the sizes and the remedy.
    """
    if len(window) not in (len(shape), max(1, len(shape) - 1)) or len(stride) != len(window):
        raise InputError(
            f"{where}: window {window} and stride {stride} do not fit an input of {len(shape)} axes, {shape}; give "
            f"both {len(shape)} numbers" + (f", or {len(shape) - 1} without the channels." if len(shape) > 1 else ".")
        )
    shape = shape[: len(window)]
    if any(width < 1 or width > size for width, size in zip(window, shape, strict=True)):
        raise InputError(f"{where}: window {window} does not fit the input {shape}; pass sizes from 1 to the input's.")
    if any(step < 1 or step > width for step, width in zip(stride, window, strict=True)):
        raise InputError(
            f"{where}: stride {stride} must lie between 1 and the window {window}; a larger one leaves gaps."
        )
