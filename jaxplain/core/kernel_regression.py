"""Shapley values as a regression of scores on coalitions, with few of the coalitions: the mathematics of KernelSHAP.

Shapley values minimize ``sum over S of p(S) (v(S) - v(none) - sum of values in S)^2`` among values that sum to
``v(all) - v(none)``, with ``p(S) = p(s) / C(n, s)``, sizes s = 1 ... n - 1 having the law ``p(s) ~ 1 / (s (n - s))``
(Charnes, Golany, Keane and Rousseau 1988, doi:10.1007/978-94-009-3677-5_7; Lundberg and Lee 2017, arXiv:1705.07874,
theorem 2). The constraint eliminated, the fit is closed: with the indicator z of a coalition, ``c = z - s / n`` and any
``b`` of the right sum, the values are ``b + M^-1 h`` where ``h = E[c (v - v(none) - z . b)]``, and ``M = E[c c^T]`` is
``(I - 1/n) / k`` with ``k = 2 (1 + 1/2 + ... + 1/(n - 1))``.

Coalitions of one player and of all but one are always evaluated. Alone they give ``b``, which is exact for games whose
players interact in pairs at most; the rest is a correction. They also keep the eigenvalues of k M at 2 / (n - 1) and
above, so that nothing needs a regularization.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._typing import Array
from jaxplain.core.coalitions import Game, outer, weighted_values
from jaxplain.core.collecting import collected
from jaxplain.core.sampling import sample_key

# Products on accelerators may otherwise run in TF32, whose 1e-3 a system of equations amplifies.
EXACT = jax.lax.Precision.HIGHEST


class Plan(NamedTuple):
    """Which coalitions between two players and all but two are evaluated.

    Args:
        whole: ``(pairs, n)``: one of every pair of coalition and complement, of the sizes that are evaluated whole.
        probability: ``(pairs,)``, p(S) of either of them.
        drawn: Sizes that coalitions are drawn from.
        law: Their probabilities, which sum to 1.
        share: Probability of the drawn sizes among all sizes.
        n_draws: Coalitions, or pairs, to be drawn.
    """

    whole: np.ndarray
    probability: np.ndarray
    drawn: np.ndarray
    law: np.ndarray
    share: float
    n_draws: int


class Fit(NamedTuple):
    """Values of the players and the expected square of their error.

    Args:
        values: ``(*t, n)``.
        squared_error: ``(*t)``: of the weighted norm, by the first order in the number of draws.
    """

    values: Array
    squared_error: Array


class Draws(NamedTuple):
    """What the fit needs of a draw, or of the mean over draws.

    Args:
        gram: ``c c^T``.
        product: ``c`` times what b leaves of the score, ``(*t, n)``.
        weighted_gram, weighted_product, weighted_square: These, and the square of what is left, times the weighted
            square of c's norm.
    """

    gram: Array
    product: Array
    weighted_gram: Array
    weighted_product: Array
    weighted_square: Array


class Regression(NamedTuple):
    """A fit that draws are missing of.

    Args:
        sample: The number of a draw to what the fit needs of it; it depends on the key and that number alone. Where all
            coalitions are evaluated it is nothing.
        finish: The mean over draws and how many there were, which may be traced, to the fit.
    """

    sample: Callable[[Array], Draws]
    finish: Callable[[Draws, Array | int], Fit]


def plan(n: int, n_draws: int, *, paired: bool, whole: bool = True) -> Plan:
    """Spend evaluations on coalitions, from the outermost sizes to the middle.

    Sizes k and n - k are evaluated whole if as many draws would be expected to fall on them as they have coalitions,
    which is the rule of shap's KernelExplainer. The rest is drawn by the law of the sizes that are left. With
    2^n - 2 - 2 n evaluations all sizes are whole.

    Args:
        n: Number of players.
        n_draws: Draws to spend; those of pairs are two evaluations each.
        paired: Whether draws come in pairs of coalition and complement.
        whole: Whether any sizes are evaluated whole, besides those of one player and of all but one.

    Example:
        >>> found = plan(6, 22, paired=True)
        >>> len(found.whole), found.drawn.tolist(), found.n_draws
        (15, [3], 7)
    """
    weights = np.array([1 / (size * (n - size)) for size in range(1, n)])
    law = dict(zip(range(1, n), weights / weights.sum(), strict=True))
    members: list[np.ndarray] = []
    probability: list[float] = []
    left, k = n_draws * (2 if paired else 1), 2
    while whole and 2 * k <= n:
        share = sum(law[size] for size in {k, n - k}) / sum(law[size] for size in range(k, n - k + 1))
        count = math.comb(n, k) * (1 if 2 * k == n else 2)
        if left * share < count - 1e-6:
            break
        left -= count
        for players in itertools.combinations(range(n), k):
            if 2 * k == n and players[0]:
                break  # the complements of those with the first player
            members.append(np.isin(np.arange(n), players))
            probability.append(law[k] / math.comb(n, k))
        k += 1
    drawn = np.arange(k, n - k + 1)
    chances = np.array([law[int(size)] for size in drawn])
    share = float(chances.sum())
    n_left = math.ceil(left / 2) if paired else left
    return Plan(
        np.array(members, bool).reshape(-1, n),
        np.array(probability),
        drawn,
        chances / (share or 1.0),
        share,
        n_left if len(drawn) else 0,
    )


def regression(
    game: Game, there: Array, key: Array, chosen: Plan, weights: Array, *, paired: bool, chunk: int | None
) -> Regression:
    """Evaluate what is not drawn, and say how the fit goes on.

    Args:
        game: The score of a coalition.
        there: Booleans ``(n,)``: who may change the score at all. The values of the others are zero, and what the draws
            gave them goes to the rest in equal parts: the nearest values with the same sum.
        key: Key of the image.
        chosen: The coalitions.
        weights: How often each player counts in the norm of the error, ``(n,)``.
        paired: Whether a drawn coalition comes with its complement.
        chunk: Coalitions evaluated together.
    """
    n = len(there)
    empty, start = _of_outermost(game, n, chunk)
    weights, scale = weights.astype(start.dtype), 2 * sum(1 / size for size in range(1, n))

    def of_those(values: Array) -> Array:
        known = jnp.broadcast_to(there, values.shape)
        lost = jnp.sum(jnp.where(known, 0, values), axis=-1, keepdims=True)
        each = lost / jnp.sum(there, dtype=values.dtype)
        return jnp.where(known, values + jnp.broadcast_to(each, values.shape), 0)

    def left(coalition: Array) -> Array:
        known = jnp.sum(jnp.where(jnp.broadcast_to(coalition, start.shape), start, 0), axis=-1)
        return game(coalition) - empty - known

    def halved(coalition: Array) -> Array:
        """Half the difference between a coalition and its complement, whose c are opposite."""
        both = jax.vmap(left)(jnp.stack([coalition, ~coalition]))
        return (both[0] - both[1]) / 2

    product = _of_whole(halved, chosen, start, chunk)
    bounds, sizes = jnp.asarray(np.cumsum(chosen.law)[:-1], jnp.float32), jnp.asarray(chosen.drawn, jnp.int32)

    def sample(i: Array) -> Draws:
        if not len(chosen.drawn):
            return Draws(*[jnp.zeros((), start.dtype)] * 5)
        of_size, of_members = jax.random.split(sample_key(key, i))
        size = sizes[jnp.searchsorted(bounds, jax.random.uniform(of_size, dtype=jnp.float32), side="right")]
        coalition = jax.random.permutation(of_members, jnp.arange(n, dtype=jnp.int32)) < size
        centered, found = _centered(coalition, start.dtype), (halved if paired else left)(coalition)
        far = jnp.sum(weights * jnp.square(of_those(centered)))
        gram, own = outer(centered, centered), outer(found, centered)
        return Draws(gram, own, far * gram, far * own, far * jnp.square(found))

    def finish(draws: Draws, n_draws: Array | int) -> Fit:
        if not len(chosen.drawn):
            return Fit(of_those(start + scale * product), jnp.zeros_like(empty))
        # Each size that is evaluated whole gives k M the same part, 1 / (n - 1) of I - 1/n; 1/n makes it invertible.
        part, average = (n - 1 - len(chosen.drawn)) / (n - 1), jnp.full((n, n), 1 / n, start.dtype)
        own = scale * chosen.share * draws.gram
        matrix = part * (jnp.eye(n, dtype=start.dtype) - average) + average + own
        right = scale * (product + chosen.share * draws.product)
        solved = jnp.linalg.solve(matrix, jnp.concatenate([right.reshape(-1, n).T, own], axis=1))
        correction, used = solved[:, :-n].T.reshape(right.shape), jnp.trace(solved[:, -n:])
        bias = of_those(draws.product - jnp.matmul(correction, draws.gram, precision=EXACT))
        variance = _variance(draws, correction, bias, weights, jnp.asarray(n_draws, start.dtype), used)
        return Fit(of_those(start + correction), (scale * chosen.share) ** 2 * variance)

    return Regression(sample, finish)


def _of_outermost(game: Game, n: int, chunk: int | None) -> tuple[Array, Array]:
    """Return the score of no player, and the fit to the coalitions of one player and of all but one, ``(*t, n)``."""

    def both(number: Array) -> Array:
        # Number 0 is nobody, and with the complement everybody: one loop, so that the network is compiled once.
        alone = jnp.arange(1, n + 1, dtype=jnp.int32) == number
        return jax.vmap(game)(jnp.stack([alone, ~alone]))

    few, most = collected(both, n + 1, chunk)
    empty, full = few[..., 0], most[..., 0]
    found = (few[..., 1:] - most[..., 1:] + (full - empty)[..., None]) / 2
    missing = full - empty - jnp.sum(found, axis=-1)
    return empty, found + jnp.broadcast_to(missing[..., None] / n, found.shape)


def _of_whole(halved: Callable[[Array], Array], chosen: Plan, start: Array, chunk: int | None) -> Array:
    """Return what the sizes that are evaluated whole add to h; of the outermost ones that is nothing."""
    if not len(chosen.whole):
        return jnp.zeros_like(start)
    coalitions, probability = jnp.asarray(chosen.whole), jnp.asarray(chosen.probability, start.dtype)

    def member(number: Array) -> tuple[Array, Array]:
        coalition = coalitions[number]
        return coalition, 2 * probability[number] * _centered(coalition, start.dtype)

    return weighted_values(halved, member, len(coalitions), chunk=chunk)


def _variance(draws: Draws, correction: Array, bias: Array, weights: Array, n_draws: Array, used: Array) -> Array:
    """Return the weighted trace of the covariance of the mean of ``c (what is left - c . correction)``, ``(*t)``.

    The fit has adapted to its own draws. ``used`` is how many of them that has cost, the trace of what maps them to
    their fit, and the residuals are raised as in generalized cross-validation (Craven and Wahba 1979,
    doi:10.1007/BF01404567): without that, few draws would seem to be almost exact.
    """
    square = jnp.sum(jnp.matmul(correction, draws.weighted_gram, precision=EXACT) * correction, axis=-1)
    square += draws.weighted_square - 2 * jnp.sum(correction * draws.weighted_product, axis=-1)
    spread = square - jnp.sum(jnp.broadcast_to(weights, bias.shape) * jnp.square(bias), axis=-1)
    return jnp.where(n_draws > 1, jnp.maximum(spread, 0) * n_draws / jnp.square(n_draws - used), jnp.nan)


def _centered(coalition: Array, dtype: jnp.dtype) -> Array:
    indicator = coalition.astype(dtype)
    return indicator - jnp.mean(indicator)
