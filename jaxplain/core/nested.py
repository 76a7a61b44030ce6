"""Nested quadrature: the trapezoid rule whose intervals are halved from round to round, node by node."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import Array

LARGEST = 2**31


def nested_trapezoid(n: int, dtype: jnp.dtype) -> Callable[[Array], tuple[Array, Array]]:
    """Return the function from the number of a node to the node in [0, 1] and its weight.

    Nodes 0 to n - 1 are those of the rule with n - 1 intervals; those that follow halve all intervals, again and again.
    After every halving, of m nodes in all, the rule is the weighted sum over m - 1.

    Args:
        n: Nodes of the first rule, at least 2.
        dtype: Of nodes and weights.

    Raises:
        InputError: n is below 2.

    Example:
        >>> node = nested_trapezoid(3, jnp.dtype("float32"))
        >>> [float(node(jnp.int32(i))[0]) for i in range(9)]
        [0.0, 0.5, 1.0, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875]
        >>> [float(node(jnp.int32(i))[1]) for i in range(4)]
        [0.5, 1.0, 0.5, 1.0]
    """
    if n < 2:
        raise InputError(f"quadrature: nested trapezoids begin with at least 2 nodes, got {n}; raise n_steps.")
    intervals = n - 1
    rounds = (LARGEST // intervals).bit_length() - 1
    begins = (intervals * (2 ** np.arange(rounds, dtype=np.int64) - 1)).astype(np.int32)

    def node(number: Array) -> tuple[Array, Array]:
        added = number - n
        # In round r, from 1 on, the midpoints of intervals * 2^(r - 1) intervals are added.
        r = jnp.maximum(jnp.sum(added >= begins, dtype=jnp.int32), 1)
        place = 2 * (added - jnp.asarray(begins)[r - 1]) + 1
        fine = place.astype(dtype) / (intervals * 2.0 ** r.astype(dtype))
        coarse = number.astype(dtype) / intervals
        end = (number == 0) | (number == intervals)
        return jnp.where(number < n, coarse, fine), jnp.where(end, 0.5, 1.0).astype(dtype)

    return node
