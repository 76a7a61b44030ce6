"""Guided integrated gradients: along a path that goes first where the score changes least."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, Fraction, ScoreFn
from jaxplain.core.baselines import like_example
from jaxplain.core.gradient import scale_maps
from jaxplain.core.ops import rank
from jaxplain.core.paths import between, completeness_gap
from jaxplain.core.sampling import wide

_State = tuple[Array, Array, Array, Array]
"""Number of the next step, the places of all entries, the gradient there, and the sum so far."""


@method(axioms=("implementation_invariance", "dummy", "sensitivity", "symmetry"), plain_gradient=True)
def guided_ig(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Float[Array, "*in"],
    n_steps: Count = 200,
    fraction: Fraction = 0.25,
    max_dist: Fraction = 0.02,
) -> Float[Array, "*out"]:
    """Integrate the gradient along a path that moves the entries of smallest gradient first.

    ``map = (x - b) sum_j (a_{j+1} - a_j) (g_j + g_{j+1}) / 2`` with ``g_j = df/dx(b + a_j (x - b))`` and ``a_j`` from 0
    to 1 for every entry. Step j takes the sum of |x - b| still to go from 1 - j/n to 1 - (j+1)/n of the whole. First
    what lags behind (j+1)/n by more than ``max_dist`` is brought up to there; then entries are moved in order of |g_j|,
    in groups of a fraction of all entries, each group as far as (j+1)/n + ``max_dist``, the last one by as much as
    the step still asks for. Entries with equal |g_j| belong to one group. It takes n + 1 gradients, one after the
    other.

    This is the path of PAIR's saliency library, whose loop over groups is a sort and sums here (there, equal gradients
    may make one group larger and so move the next). It takes the gradient at the start of a step, which leaves an error
    of the first order in 1/n where the mean of both ends leaves one of the second. Every score has a path of its own.
    The path is a constant in derivatives of the map; with respect to weights that is exact.

    Args:
        f: Score of one example.
        x: The example.
        baseline: Start of the path, of the example's shape.
        n_steps: Number of steps, at least 1.
        fraction: Size of a group as a fraction of all entries; 0 moves them one by one, 1 goes straight.
        max_dist: How far an entry may be ahead of the straight path, or lag behind it, as a fraction of its way; 0 goes
            straight, 1 is unbounded.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score; sums to f(x) - f(b) up to the error of the
        steps.

    References:
        Kapishnikov, Venugopalan, Avci, Wedin, Terry and Bolukbasi 2021, Guided integrated gradients: an adaptive path
        method for removing noise, arXiv:2106.09788.

    Example:
        >>> square = lambda x: (2 * x[0] + x[1]) ** 2
        >>> guided_ig(square, jnp.array([3.0, 3.0]), baseline=jnp.zeros(2), max_dist=0.0).round(2)
        Array([54., 27.], dtype=float32)
    """
    start = like_example(baseline, x)
    way = lax.stop_gradient(jnp.abs(wide(x) - wide(start)))
    whole = jnp.sum(way)
    weight = way / jnp.where(whole == 0, 1, whole)
    score = jax.eval_shape(f, x)

    def along(unit: Array) -> Array:
        def gradient(place: Array) -> Array:
            _, pull = jax.vjp(f, between(start, x, place))
            (found,) = pull(unit)
            return wide(found)

        def step(state: _State, _: None) -> tuple[_State, None]:
            number, place, here, summed = state
            slope, level = lax.stop_gradient(jnp.abs(here)), number.astype(place.dtype) / n_steps
            moved = _advanced(place, slope, weight, level, fraction, max_dist)
            there = gradient(moved)
            return (number + 1, moved, there, summed + (moved - place) * (here + there) / 2), None

        zero = jnp.zeros_like(weight)
        (*_, mean_gradient), _ = lax.scan(step, (jnp.int32(1), zero, gradient(zero), zero), length=n_steps)
        return mean_gradient

    mean_gradients = (
        jax.vmap(along)(jnp.eye(score.shape[0], dtype=score.dtype)) if score.ndim else along(jnp.ones((), score.dtype))
    )
    return scale_maps(mean_gradients, x - start).astype(x.dtype)


def _advanced(
    place: Array, slope: Array, weight: Array, level: Array, fraction: Array | float, max_dist: Array | float
) -> Array:
    """Return the places after a step.

    Args:
        place: How much of its way every entry has gone, from 0 to 1.
        slope: Size of every entry's gradient.
        weight: Share of every entry's way in the sum of all.
        level: Share of the sum of all ways that shall be gone afterwards.
        fraction: Size of a group.
        max_dist: How far places may be from the level.
    """
    slack = jnp.asarray(max_dist, place.dtype)
    place = jnp.maximum(place, level - slack)
    left = jnp.maximum(jnp.minimum(level + slack, 1) - place, 0)
    size = jnp.floor(jnp.asarray(fraction, jnp.float32) * (place.size - 1)).astype(jnp.int32) + 1
    need = level - jnp.sum(weight * place)
    return place + left * _filled(slope.ravel(), (weight * left).ravel(), need, size).reshape(place.shape)


def _filled(slope: Array, room: Array, need: Array, size: Array) -> Array:
    """Return which part of its room every entry gets, so that all of it together is what is needed.

    Args:
        slope: In the order of which entries are served; entries without room come last.
        room: How much each can take.
        need: The sum to give away.
        size: Number of entries in a group; a group shares in proportion to room, the next one waits.
    """
    numbers = jnp.arange(slope.size, dtype=jnp.int32)
    order = jnp.where(room > 0, slope, jnp.inf)
    place = rank(-order)
    key, held = (jnp.zeros_like(values).at[place].set(values, unique_indices=True) for values in (order, room))
    upto = jnp.cumsum(held)
    edge = jnp.ones(1, bool)
    # The group is told by the first of all entries with an equal key, so that these stay together.
    group = lax.cummax(jnp.where(jnp.concatenate([edge, key[1:] != key[:-1]]), numbers, 0)) // size
    differs = group[1:] != group[:-1]
    before = lax.cummax(jnp.where(jnp.concatenate([edge, differs]), upto - held, 0))
    after = lax.cummin(jnp.where(jnp.concatenate([differs, edge]), upto, jnp.inf), reverse=True)
    return jnp.clip((need - before) / jnp.where(after > before, after - before, 1), 0, 1)[place]


@with_diagnostics(guided_ig)
def guided_ig_with_diagnostics(
    f: ScoreFn, x: Float[Array, "*in"], *, baseline: Array, n_steps: int, fraction: float, max_dist: float
) -> Diagnosed:
    """Return the map and its completeness gap.

    ``gap = sum(map) - (f(x) - f(b))``. A small gap does not by itself mean a small error of the map.

    Args:
        f: Score of one example.
        x: The example.
        baseline, n_steps, fraction, max_dist: As in ``guided_ig``, with its defaults.

    Returns:
        The map, and ``{"gap": (*t)}`` in units of the score, signed.

    Example:
        >>> square, three = lambda x: (2 * x[0] + x[1]) ** 2, jnp.array([3.0, 3.0])
        >>> _, figures = guided_ig_with_diagnostics(square, three, baseline=jnp.zeros(2), n_steps=8)
        >>> abs(float(figures["gap"])) < 1e-3
        True
    """
    attribution = guided_ig(f, x, baseline=baseline, n_steps=n_steps, fraction=fraction, max_dist=max_dist)
    start = like_example(baseline, x)
    return attribution, {"gap": completeness_gap(attribution, f(x) - f(start))}
