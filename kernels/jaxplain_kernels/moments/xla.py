"""Both plain-JAX forms of a reduction over the first axis."""

from functools import reduce
from typing import Literal

import jax
import jax.numpy as jnp

Array = jax.Array
How = Literal["add", "max"]


def reduce_axis(how: How, values: Array) -> Array:
    """Reduce as XLA does."""
    return jnp.sum(values, axis=0) if how == "add" else jnp.max(values, axis=0)


def fold(how: How, values: Array) -> Array:
    """Combine the halves of the axis until one entry is left; odd ones wait for the end."""
    combine = jnp.add if how == "add" else jnp.maximum
    left = []
    while len(values) > 1:
        half = len(values) // 2
        if len(values) % 2:
            left.append(values[-1])
        values = combine(values[:half], values[half : 2 * half])
    return reduce(combine, left, values[0])
