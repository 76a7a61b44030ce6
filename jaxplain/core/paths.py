"""Paths from a baseline to an example: points of the straight one, and what a sum along any of them leaves over."""

import jax.numpy as jnp

from jaxplain._typing import Array
from jaxplain.core.sampling import wide


def between(start: Array, end: Array, t: Array) -> Array:
    """Return ``start + t (end - start)``, computed in float32 or wider, in the dtype of the start.

    Args:
        start: Where t = 0 lies.
        end: Where t = 1 lies, of the start's shape.
        t: One number, or one for every entry.

    Example:
        >>> between(jnp.zeros(2), jnp.array([1.0, 4.0]), jnp.float32(0.25))
        Array([0.25, 1.  ], dtype=float32)
    """
    low, high = wide(start), wide(end)
    return (low + t.astype(low.dtype) * (high - low)).astype(start.dtype)


def completeness_gap(maps: Array, change: Array) -> Array:
    """Return, per score, the sum of its map less the change of the score that the map divides among the entries.

    Args:
        maps: ``(*t, *in)``.
        change: ``(*t)``, between where the path starts and the example.

    Example:
        >>> completeness_gap(jnp.array([[1.0, 2.0], [0.0, 4.0]]), jnp.array([3.0, 3.0]))
        Array([0., 1.], dtype=float32)
    """
    summed = jnp.sum(wide(maps), axis=tuple(range(change.ndim, maps.ndim)))
    return summed - change.astype(summed.dtype)
