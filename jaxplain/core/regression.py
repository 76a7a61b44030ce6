"""Weighted ridge regression from running sums: what it needs of the samples fits in features x features numbers.

A row of features begins with 1, whose coefficient is the intercept and is not penalized. Samples may be told apart by
group, so that the same sums give the coefficients and, by leaving out one group after the other, their error.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplain._typing import Array, PyTree
from jaxplain.core.sampling import Reducer

# Products on accelerators may otherwise run in TF32, whose 1e-3 a system of equations amplifies.
EXACT = jax.lax.Precision.HIGHEST


class Sums(NamedTuple):
    """Weighted sums over the samples of each group.

    Args:
        gram: ``(groups, features, features)``, of row times row.
        products: ``(groups, features, scores)``, of row times score.
        squares: ``(groups, scores)``, of squared scores.
    """

    gram: Array
    products: Array
    squares: Array

    @property
    def together(self) -> "Sums":
        """The sums over all groups, as those of one."""
        return Sums(*(jnp.sum(part, axis=0, keepdims=True) for part in self))


class _WeightedSums:
    def init(self, like: PyTree) -> Sums:
        row, scores, weights = like
        groups, features, n_scores = weights.shape[0], row.shape[0], scores.shape[0]
        return Sums(
            jnp.zeros((groups, features, features), row.dtype),
            jnp.zeros((groups, features, n_scores), row.dtype),
            jnp.zeros((groups, n_scores), row.dtype),
        )

    def update(self, state: Sums, values: PyTree, valid: Array) -> Sums:
        rows, scores, weights = values
        weights = jnp.where(valid[:, None], weights, 0)
        weighted = weights[:, :, None] * rows[:, None, :]
        return Sums(
            state.gram + jnp.einsum("ngi,nj->gij", weighted, rows, precision=EXACT),
            state.products + jnp.einsum("ngi,nk->gik", weighted, scores, precision=EXACT),
            state.squares + jnp.einsum("ng,nk->gk", weights, jnp.square(scores), precision=EXACT),
        )

    def result(self, state: Sums, n: Array | int) -> Sums:
        return state


weighted_sums: Reducer = _WeightedSums()
"""``Sums`` of samples ``(row (features,), scores (scores,), weights (groups,))``, all of one dtype."""


def ridge_fit(sums: Sums, ridge: Array) -> Array:
    """Return, per group, the coefficients that minimize ``sum w (score - row . c)^2 + ridge |c|^2`` without c_0.

    Args:
        sums: Sums over the samples.
        ridge: Weight of the penalty, not negative.

    Returns:
        ``(groups, features, scores)``; NaN where the samples do not determine them.

    Example:
        >>> rows = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> scores = 3 + 2 * rows[:, 1:]
        >>> sums = weighted_sums.init((rows[0], scores[0], jnp.ones(1)))
        >>> sums = weighted_sums.update(sums, (rows, scores, jnp.ones((3, 1))), jnp.ones(3, bool))
        >>> ridge_fit(sums, jnp.float32(0)).ravel().round(4)
        Array([3., 2.], dtype=float32)
    """

    def solve(gram: Array, products: Array) -> Array:
        size = gram.shape[0]
        penalty = jnp.full(size, ridge, gram.dtype).at[0].set(0)
        lower = jnp.linalg.cholesky(gram + jnp.diag(penalty))
        # What rounding leaves of a pivot that is zero is about size * eps of the largest entry.
        smallest = size * jnp.finfo(gram.dtype).eps * jnp.max(jnp.diagonal(gram))
        determined = jnp.min(jnp.square(jnp.diagonal(lower))) > smallest
        return jnp.where(determined, jax.scipy.linalg.cho_solve((lower, True), products), jnp.nan)

    return jax.vmap(solve)(sums.gram, sums.products)


def r_squared(sums: Sums, coefficients: Array) -> Array:
    """Return, per group and score, the share of the weighted variance that a fit explains; NaN for constant scores.

    Args:
        sums: Sums over the samples.
        coefficients: ``(groups, features, scores)``.
    """
    fitted = jnp.einsum("gij,gjk->gik", sums.gram, coefficients, precision=EXACT)
    residual = sums.squares + jnp.sum(coefficients * (fitted - 2 * sums.products), axis=1)
    spread = sums.squares - jnp.square(sums.products[:, 0]) / sums.gram[:, 0, :1]
    return 1 - residual / spread


def jackknife(sums: Sums, ridge: Array) -> Array:
    """Return the variance of the coefficients of all groups together, by leaving out one group after the other.

    ``(g - 1) / g * sum over groups (c without the group - mean of these)^2``. It needs groups of independent samples,
    none of them empty. The penalty shrinks with the samples, so that its bias does not count as an error.

    Args:
        sums: Sums over g groups, at least 2.
        ridge: Weight of the penalty for all of them.

    Returns:
        ``(features, scores)``.

    References:
        Shao and Wu 1989, A general theory for jackknife variance estimation, doi:10.1214/aos/1176347263.
    """
    groups = sums.squares.shape[0]
    share = (groups - 1) / groups
    others = Sums(*(whole - part for whole, part in zip(sums.together, sums, strict=True)))
    found = ridge_fit(others, ridge * share)
    return share * jnp.sum(jnp.square(found - jnp.mean(found, axis=0, keepdims=True)), axis=0)
