"""Errors of ratios of sums, from replicates: a fixed number of groups, to which samples belong by their number.

Sums are kept for each replicate, so what is kept does not grow with the number of samples. With the sums S_g of what
is averaged and W_g of its weights, the estimate is ``R = sum_g S_g / sum_g W_g`` and, of G replicates, its squared
standard error ``G / (G - 1) sum_g (S_g - R W_g)^2 / (sum_g W_g)^2``. It holds where replicates are
independent, whatever goes on inside of one; of 8 replicates it has 7 degrees of freedom: a single standard error is
known to about 27 %.
"""

from typing import NamedTuple

import jax.numpy as jnp

from jaxplain._typing import Array
from jaxplain.core.maps import divide
from jaxplain.core.sampling import relative_norm

REPLICATES = 8
"""How many there are; sample i belongs to the replicate ``i % REPLICATES``."""


class Ratio(NamedTuple):
    """An estimate and its standard error, NaN for a single replicate."""

    value: Array
    error: Array


def by_replicate(sample: Array, values: Array) -> Array:
    """Give a sample's values a leading axis of replicates, zero but for its own.

    Args:
        sample: Number of the sample.
        values: Of any shape.
    """
    own = jnp.arange(REPLICATES, dtype=jnp.int32) == sample % REPLICATES
    return jnp.where(own.reshape(REPLICATES, *(1,) * values.ndim), values[None], 0)


def counts(groups: int, n: Array | int) -> Array:
    """Return how many of n samples each group has.

    Args:
        groups: ``REPLICATES``, or 1.
        n: Number of samples; it may be traced.
    """
    return (jnp.asarray(n, jnp.int32) + (groups - 1) - jnp.arange(groups, dtype=jnp.int32)) // groups


def ratio(sums: Array, weights: Array, n: Array | int) -> Ratio:
    """Divide sums by weights; zero where there is no weight.

    Args:
        sums: ``(groups, ...)``, with one group for no error.
        weights: Of as many axes, broadcast against the sums.
        n: Number of samples; it may be traced.

    Example:
        >>> found = ratio(jnp.array([1.0, 3.0]), jnp.ones(2), 2)
        >>> float(found.value), float(found.error)
        (2.0, 1.0)
    """
    whole = jnp.sum(weights, axis=0)
    value = divide(jnp.sum(sums, axis=0), whole)
    spread = divide(jnp.sum(jnp.square(sums - value[None] * weights), axis=0), jnp.square(whole))
    groups = jnp.minimum(jnp.asarray(n, sums.dtype), len(sums))
    return Ratio(value, jnp.sqrt(jnp.where(groups > 1, groups / (groups - 1), jnp.nan) * spread))


def relative_error(found: Ratio, map_axes: int) -> Array:
    """Return, per score, the norm of the map's standard error over the norm of the map; zero where there is no error.

    Args:
        found: Maps ``(*t, *in)``.
        map_axes: Number of axes of one map.
    """
    over = tuple(range(-map_axes, 0))
    size, error = (jnp.sum(jnp.square(values), axis=over) for values in found)
    return relative_norm(error, size)
