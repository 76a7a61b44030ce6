"""Exact Shapley values of segments: every coalition is evaluated."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxplain._errors import InputError
from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.coalitions import game_of, weighted_values, written
from jaxplain.core.sampling import wide
from jaxplain.core.segments import as_segments

MOST_SEGMENTS = 14
"""At most 2^14 evaluations."""


@method(
    axioms=("completeness", "linearity", "implementation_invariance", "dummy", "sensitivity", "symmetry"),
    plain_gradient=True,
    fills=True,
)
def shapley_exact(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    segments: Int[Array, "*space"],
    baseline: Float[Array, "*in"],
    divided: bool = False,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Give each segment its mean contribution over all orders in which segments can be shown.

    ``value_i = sum over coalitions S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))``, where ``v(S)`` is the
    score of the example with the segments S, and the baseline elsewhere. All 2^n coalitions are evaluated, once each.
    The values sum to ``f(x) - f(baseline)``.

    Args:
        f: Score of one example.
        x: The example.
        segments: Integers 0 to n - 1, n at most 14, of the example's shape or without its channels.
        baseline: What a hidden segment looks like, an array of the example's shape or a fill.
        divided: Whether a segment's value is divided over its entries, so that the map has the sum of the values; else
            each entry bears the whole value, as in Captum.
        chunk: Coalitions evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: The segments do not fit the example, have gaps, or are too many; names the methods to use.

    References:
        Shapley 1953, A value for n-person games, doi:10.1515/9781400881970-018. Strumbelj and Kononenko 2014,
        Explaining prediction models and individual predictions with feature contributions,
        doi:10.1007/s10115-013-0679-x.

    Example:
        >>> product, x = lambda x: x[0] * x[1] + x[2], jnp.array([3.0, 2.0, 1.0])
        >>> shapley_exact(product, x, segments=jnp.array([0, 1, 2]), baseline=0 * x).round(5)
        Array([3., 3., 1.], dtype=float32)
    """
    players = as_segments("shapley_exact", segments, x.shape)
    if players.n > MOST_SEGMENTS:
        raise InputError(
            f"shapley_exact: {players.n} segments have 2^{players.n} coalitions, and at most 2^{MOST_SEGMENTS} are "
            "enumerated; use kernel_shap, shapley_sampling or partition_shap, or fewer segments."
        )
    gains, losses = (jnp.asarray(table, wide(x).dtype) for table in _weights(players.n))

    def member(number: Array) -> tuple[Array, Array]:
        coalition = (number >> jnp.arange(players.n, dtype=jnp.int32)) & 1 == 1
        size = jnp.sum(coalition, dtype=jnp.int32)
        return coalition, jnp.where(coalition, gains[size], losses[size])

    game = game_of(f, x, baseline, players)
    values = weighted_values(game, member, 2**players.n, chunk=chunk)
    return written(values, players, x, divided=divided)


def _weights(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of a coalition's score, by its size, in the values of its members and of all others."""
    sizes = range(n + 1)
    gains = [1 / (n * math.comb(n - 1, size - 1)) if size else 0.0 for size in sizes]
    losses = [-1 / (n * math.comb(n - 1, size)) if size < n else 0.0 for size in sizes]
    return np.array(gains), np.array(losses)
