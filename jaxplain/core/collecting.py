"""Scores of numbered variants of an example, all of them kept."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxplain._typing import Array
from jaxplain.core.sampling import reduce_over, total, wide


def collected(score_of: Callable[[Array], Array], n: int, chunk: int | None) -> Array:
    """Collect ``score_of(0), ..., score_of(n - 1)`` as ``(*t, n)``, ``chunk`` of them at a time."""

    def column(number: Array) -> Array:
        score = wide(score_of(number))
        own = (jnp.arange(n, dtype=jnp.int32) == number).reshape((1,) * score.ndim + (-1,))
        return jnp.where(own, score[..., None], 0)

    return reduce_over(column, n, total, chunk=chunk)
