"""Segments: an example cut into numbered parts, and examples in which some of the parts are hidden.

A player of a Shapley value, a feature of LIME, a region of an atlas: all are segments here. A coalition says which
segments are shown: a vector of one entry per segment, 1 or true where it is, and values in between blend.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array

MOST_NAMED = 8
"""How many missing segments a message names."""


@pytree
class Segments:
    """A map of segment numbers 0 to n - 1.

    Made by hand it is taken as it is: a number without a pixel then is a segment that changes nothing. So are the
    numbers that an image lacks beside others with more segments.

    Args:
        labels: Integers, of the example's shape or without its last axis, the channels.
        n: How many segments there are; decides the program.
    """

    labels: Array
    n: int = static()


def as_segments(where: str, value: Any, shape: tuple[int, ...]) -> Segments:
    """Check a segment map and count its segments.

    Args:
        where: Who asks, for messages.
        value: Segments, or an array of integers from 0 on, without gaps.
        shape: Shape of one example.

    Raises:
        InputError: The map does not fit the example, or numbers are missing.
        InputTypeError: The map is no array of integers, or is traced, so that nobody can count its segments.

    Example:
        >>> as_segments("here", np.array([[0, 0], [1, 2]]), (2, 2, 3)).n
        3
    """
    labels = _labels(where, value)
    if not fits(labels.shape, shape):
        more = f", or {shape[:-1]} for all channels together" if len(shape) > 1 else ""
        raise InputError(
            f"{where}: segments of shape {labels.shape} do not fit an example of shape {shape}; pass that shape{more}."
        )
    if isinstance(value, Segments):
        return value
    n = _count(where, labels[None])
    return Segments(jnp.asarray(labels, jnp.int32), n)


def segments_per_image(where: str, value: Any, shape: tuple[int, ...]) -> Segments:
    """Check maps of segments, one per image; n is that of the image with the most.

    Args:
        where: Who asks, for messages.
        value: Segments, or an array of integers with the images in front, each map from 0 on without gaps.
        shape: Shape of one example.

    Raises:
        InputError: The maps do not fit the example, or numbers are missing in one of them.
        InputTypeError: They are no array of integers, or are traced.

    Example:
        >>> segments_per_image("here", np.array([[0, 0, 0], [0, 1, 1]]), (3,)).n
        2
    """
    labels = _labels(where, value)
    if not labels.ndim or not len(labels) or not fits(labels.shape[1:], shape):
        raise InputError(f"{where}: segments of shape {labels.shape} are no maps for examples of shape {shape}.")
    if isinstance(value, Segments):
        return value
    n = _count(where, labels)
    return Segments(labels.astype(np.int32), n)


def is_per_image(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether there is a map for each image: the images are in front, and the whole is no map of one example."""
    found = np.shape(value.labels if isinstance(value, Segments) else value)
    return fits(found[1:], shape) and not fits(found, shape)


def fits(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a map of this shape has a segment for every entry of an example, or for all channels of a pixel.

    Example:
        >>> fits((4, 4), (4, 4, 3)), fits((3,), (4, 4, 3))
        (True, False)
    """
    return found in _fitting(shape)


def spread(values: Array, segments: Segments, shape: tuple[int, ...]) -> Array:
    """Write the value of every segment to each of its pixels.

    Args:
        values: ``(*t, n)``.
        segments: The map.
        shape: Shape of one example; without channels in the map, all channels of a pixel get its value.

    Returns:
        ``(*t, *in)``.

    Example:
        >>> spread(jnp.array([5.0, 7.0]), as_segments("here", np.array([0, 1, 1]), (3,)), (3,))
        Array([5., 7., 7.], dtype=float32)
    """
    found = jnp.take(values, segments.labels, axis=-1)
    if segments.labels.ndim < len(shape):
        found = found[..., None]
    return jnp.broadcast_to(found, (*values.shape[:-1], *shape))


def entries(segments: Segments, shape: tuple[int, ...]) -> Array:
    """Return how many entries of the example belong to each segment, float32.

    Args:
        segments: The map.
        shape: Shape of one example.

    Example:
        >>> entries(as_segments("here", np.array([[0, 1, 1]]), (1, 3, 2)), (1, 3, 2))
        Array([2., 4.], dtype=float32)
    """
    labels = segments.labels.reshape(-1)
    per_label = int(np.prod(shape)) // max(1, labels.size)
    return jax.ops.segment_sum(jnp.full(labels.shape, per_label, jnp.float32), labels, segments.n)


def present(segments: Segments) -> Array:
    """Return which segments have a pixel, ``(n,)``: among maps of several images some may have fewer than n.

    Example:
        >>> present(Segments(jnp.array([0, 2, 2]), 4)).tolist()
        [True, False, True, False]
    """
    return jnp.zeros(segments.n, bool).at[segments.labels.reshape(-1)].set(True)


def show(x: Array, baseline: Array, coalition: Array, segments: Segments) -> Array:
    """Return the example with the segments of a coalition, and the baseline elsewhere.

    Args:
        x: The example.
        baseline: What a hidden segment looks like, of the example's shape.
        coalition: ``(n,)``, boolean, or from 0 to 1 where segments are blended.
        segments: The map.

    Example:
        >>> segments = as_segments("here", np.array([0, 1, 1]), (3,))
        >>> show(jnp.ones(3), jnp.zeros(3), jnp.array([False, True]), segments)
        Array([0., 1., 1.], dtype=float32)
    """
    shown = spread(coalition, segments, x.shape)
    if shown.dtype == bool:
        return jnp.where(shown, x, baseline)
    weight = shown.astype(x.dtype)
    return weight * x + (1 - weight) * baseline


def grid_segments(shape: tuple[int, ...], cells: tuple[int, ...]) -> np.ndarray:
    """Return the map of a regular grid, numbered row by row; cells differ by at most one pixel.

    Args:
        shape: The axes that are cut, usually the example's without its channels.
        cells: How many cells along each of them, from 1 to its length.

    Raises:
        InputError: There are more cells than pixels, or another number of axes.

    Example:
        >>> grid_segments((2, 4), (1, 2)).tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    if len(cells) != len(shape) or any(not 1 <= n <= size for n, size in zip(cells, shape, strict=False)):
        raise InputError(f"grid_segments: {cells} cells do not fit axes of {shape} pixels; give 1 to {shape}.")
    found = np.zeros((), int)
    for n, size in zip(cells, shape, strict=True):
        found = found[..., None] * n + np.arange(size) * n // size
    return found


def _fitting(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return (shape, shape[:-1]) if len(shape) > 1 else (shape,)


def _labels(where: str, value: Any) -> Any:
    if isinstance(value, Segments):
        return value.labels
    if isinstance(value, jax.core.Tracer):
        raise InputTypeError(
            f"{where}: segments are traced, which hides their number; pass jaxplain.core.segments.Segments(labels, n)."
        )
    labels = np.asarray(value)
    if labels.dtype.kind not in "iu":
        raise InputTypeError(f"{where}: segments must be integers, got {labels.dtype}; convert them with astype(int).")
    return labels


def _count(where: str, maps: np.ndarray) -> int:
    """Return the largest number of segments of maps with one axis in front, each of which must have no gaps."""
    flat = maps.reshape(len(maps), -1)
    own = flat.max(axis=1).astype(np.int64) + 1
    n = int(own.max())
    if flat.min() < 0:
        problem, first = f"negative numbers such as {flat.min()}", int(np.argmin(flat.min(axis=1)))
    else:
        # Of more numbers than pixels some are missing among the first; so wild numbers need no memory.
        looked_at = min(n, flat.shape[1] + MOST_NAMED)
        seen = np.zeros((len(flat), looked_at), bool)
        for row, numbers in zip(seen, flat, strict=True):
            row[numbers[numbers < looked_at]] = True
        missing = ~seen & (np.arange(looked_at) < own[:, None])
        gaps = np.flatnonzero(missing.any(axis=1))
        if not len(gaps):
            return n
        first = int(gaps[0])
        problem = f"no pixel of the numbers {np.flatnonzero(missing[first])[:MOST_NAMED].tolist()}"
    raise InputError(
        f"{where}: segments must be numbered 0 to n - 1 without gaps, and "
        + (f"those of image {first} have {problem}; " if len(maps) > 1 else f"these have {problem}; ")
        + "number them anew with np.unique(segments, return_inverse=True)"
        + (", or pass jaxplain.core.segments.Segments(labels, n) to allow it." if len(maps) > 1 else ".")
    )
