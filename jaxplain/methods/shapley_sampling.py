"""Shapley values of segments from random orders."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, ScoreFn
from jaxplain.core.coalitions import game_of, relative_error, square_weights, written
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.sampling import Moments, mean, moments, reduce_over, sample_key
from jaxplain.core.segments import Segments, as_segments


@method(
    axioms=("completeness", "linearity", "implementation_invariance", "dummy", "sensitivity"),
    plain_gradient=True,
    fills=True,
)
def shapley_sampling(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    segments: Int[Array, "*space"],
    baseline: Float[Array, "*in"],
    n_samples: Count = 25,
    antithetic: bool = True,
    divided: bool = False,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Average what each segment adds to the score over random orders in which segments are shown.

    ``value_i = mean over orders of v(those before i, and i) - v(those before i)``, where ``v(S)`` is the score of the
    example with the segments S, and the baseline elsewhere: Shapley values without bias, which sum to
    ``f(x) - f(baseline)`` for any number of orders. An order takes n - 1 evaluations, its reverse as many, and the two
    ends are shared by all. With reversed orders the values are exact where segments interact in pairs at most.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; order i uses ``fold_in(key, i)``.
        segments: Integers 0 to n - 1, of the example's shape or without its channels.
        baseline: What a hidden segment looks like, an array of the example's shape or a fill.
        n_samples: Number of orders drawn, all equally likely; 25 is Captum's default.
        antithetic: Whether every order is also gone through backwards, which doubles the evaluations.
        divided: Whether a segment's value is divided over its entries, so that the map has the sum of the values; else
            each entry bears the whole value, as in Captum.
        chunk: Orders evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: The segments do not fit the example, or have gaps.

    References:
        Castro, Gómez and Tejada 2009, Polynomial calculation of the Shapley value based on sampling,
        doi:10.1016/j.cor.2008.04.004. Mitchell, Cooper, Frank and Holmes 2022, Sampling permutations for Shapley value
        estimation, arXiv:2104.12199, for reversed orders.

    Example:
        >>> import jax
        >>> product, x = lambda x: x[0] * x[1] + x[2], jnp.array([3.0, 2.0, 1.0])
        >>> known = {"key": jax.random.key(0), "segments": jnp.array([0, 1, 2]), "baseline": 0 * x}
        >>> shapley_sampling(product, x, **known, n_samples=1)
        Array([3., 3., 1.], dtype=float32)
    """
    players = as_segments("shapley_sampling", segments, x.shape)
    contributions = _contributions(f, x, key, players, baseline, antithetic)
    values = reduce_over(contributions, n_samples, mean, chunk=chunk)
    return written(values, players, x, divided=divided)


@with_diagnostics(shapley_sampling)
def shapley_sampling_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    segments: Array,
    baseline: Array,
    n_samples: int,
    antithetic: bool,
    divided: bool,
    chunk: int | None,
) -> Diagnosed:
    """Return the map and its relative standard error, that of independent orders, or pairs of an order and its reverse.

    Args:
        f: Score of one example.
        x: The example.
        key, segments, baseline, n_samples, antithetic, divided, chunk: As in ``shapley_sampling``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; NaN for one sample.

    Example:
        >>> import jax
        >>> known = {"key": jax.random.key(0), "segments": jnp.array([0, 1]), "baseline": jnp.zeros(2)}
        >>> _, figures = shapley_sampling_with_diagnostics(jnp.prod, jnp.array([3.0, 2.0]), **known)
        >>> float(figures["stderr"])
        0.0
    """
    estimate = shapley_sampling_in_rounds(
        f, x, key=key, segments=segments, baseline=baseline, antithetic=antithetic, divided=divided
    )
    return estimate.once(n_samples, chunk)


def _evaluations(words: Mapping[str, Any]) -> int:
    """Return how many evaluations an order takes besides its ends, which all orders share."""
    return max(1, words["segments"].n - 1) * (2 if words["antithetic"] else 1)


@in_rounds(shapley_sampling, count="n_samples", evaluations=_evaluations)
def shapley_sampling_in_rounds(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    segments: Array,
    baseline: Array,
    antithetic: bool,
    divided: bool,
) -> Estimate:
    """Return the estimate, which can go on."""
    players = as_segments("shapley_sampling", segments, x.shape)

    def finish(found: Moments, n: Array | int) -> Diagnosed:
        weights = square_weights(players, x, divided=divided).astype(found.mean.dtype)
        variance = found.m2 / (found.n * (found.n - 1)).astype(found.m2.dtype)
        squared = jnp.sum(variance * jnp.broadcast_to(weights, variance.shape), axis=-1)
        stderr = relative_error(found.mean, squared, weights)
        return written(found.mean, players, x, divided=divided), {"stderr": stderr}

    return Estimate(_contributions(f, x, key, players, baseline, antithetic), moments, finish)


def _contributions(
    f: ScoreFn, x: Array, key: Array, players: Segments, baseline: Array, antithetic: bool
) -> Callable[[Array], Array]:
    """Return the function from the number of an order to what each player adds in it, ``(*t, n)``."""
    game, n = game_of(f, x, baseline, players), players.n
    ends = jax.vmap(game)(jnp.stack([jnp.zeros(n, bool), jnp.ones(n, bool)]))

    def walk(place: Array) -> Array:
        between = lax.map(lambda size: game(place < size), jnp.arange(1, n, dtype=jnp.int32))
        added = jnp.diff(jnp.concatenate([ends[:1], between, ends[1:]]), axis=0)
        return jnp.moveaxis(added[place], 0, -1)

    def contributions(i: Array) -> Array:
        place = jax.random.permutation(sample_key(key, i), jnp.arange(n, dtype=jnp.int32))
        if not antithetic:
            return walk(place)
        return jnp.mean(jax.vmap(walk)(jnp.stack([place, n - 1 - place])), axis=0)

    return contributions
