"""What generated shapes vary in: axes that a user fixes, bounds or lists, and the numbers that are drawn on them.

An axis is a number, a pair (low, high) to draw from, or an array with one number per image.
"""

import jax
import numpy as np

from jaxplain._errors import InputError

Axis = float | tuple[float, float] | np.ndarray


def uniform(seed: int, first: int, n: int, count: int) -> np.ndarray:
    """Return ``(n, count)`` uniform numbers; row i depends on the seed and on its number ``first + i`` alone."""
    key = jax.random.key(seed)

    def row(number: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(key, number), (count,), np.float32)

    numbers = np.arange(first, first + n).astype(np.uint32)
    return np.asarray(jax.jit(jax.vmap(row))(numbers), np.float64)


def drawn(
    where: str, name: str, axis: Axis, draws: np.ndarray, bounds: tuple[float, float], *, open_low: bool = False
) -> np.ndarray:
    """Return an axis at uniform numbers, the images along the first axis.

    Args:
        where: Who asks, for messages.
        name: Of the axis.
        axis: A number, a pair or one number per image.
        draws: ``(n, ...)`` from 0 to 1.
        bounds: The smallest and the largest value.
        open_low: Whether the smallest is left out.

    Raises:
        InputError: The axis leaves its bounds or has another length.
    """
    low, high = (
        end.reshape(-1, *(1,) * (draws.ndim - 1))
        for end in _ends(where, name, axis, len(draws), bounds, open_low=open_low)
    )
    return low + draws * (high - low)


def grays(where: str, contrast: Axis, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gray values of object and ground: two independent uniform numbers, given their contrast's axis.

    The difference d of two such numbers has P(|d| > c) = (1 - c)^2, and given d the lower one is uniform from 0 to
    1 - |d|.

    Args:
        where: Who asks, for messages.
        contrast: Axis of |d|.
        draws: ``(n, 3)`` from 0 to 1.

    Raises:
        InputError: The axis leaves 0 to 1 or has another length.

    Example:
        >>> object_gray, ground = grays("here", 0.5, np.array([[0.3, 0.5, 0.1]]))
        >>> object_gray.tolist(), ground.tolist()
        ([0.75], [0.25])
    """
    low, high = _ends(where, "contrast", contrast, len(draws), (0.0, 1.0))
    difference = 1 - np.sqrt((1 - low) ** 2 * (1 - draws[:, 0]) + (1 - high) ** 2 * draws[:, 0])
    difference = np.where(low == high, low, difference)
    darker = draws[:, 1] * (1 - difference)
    bright = draws[:, 2] < 0.5
    return np.where(bright, darker + difference, darker), np.where(bright, darker, darker + difference)


def check_counts(where: str, n: int, first: int, size: int) -> None:
    """Refuse numbers of images and sizes that cannot be drawn.

    Raises:
        InputError: With the numbers.
    """
    if n < 1 or size < 8 or not 0 <= first <= 2**32 - n:
        raise InputError(f"{where}: {n} images from number {first} on, of size {size}; pass at least 1, 0 and 8.")


def _ends(
    where: str, name: str, axis: Axis, n: int, bounds: tuple[float, float], *, open_low: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper end of an axis for each image."""
    pair = axis if isinstance(axis, tuple) and len(axis) == 2 else (axis, axis)
    low, high = (np.asarray(end, np.float64) for end in pair)
    if low.shape not in ((), (n,)) or high.shape != low.shape:
        raise InputError(f"{where}: {name} of shape {low.shape}; pass a number, a pair (low, high) or {n} numbers.")
    least, most = bounds
    inside = (low > least if open_low else low >= least) & (low <= high) & (high <= most)
    if not inside.all():
        raise InputError(
            f"{where}: {name} from {low.min():g} to {high.max():g} must rise within {least:g} to {most:g}"
            f"{', above the first' if open_low else ''}."
        )
    return np.broadcast_to(low, n), np.broadcast_to(high, n)
