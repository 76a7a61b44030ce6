"""Sobol' attribution: the share of the score's variance that each cell of a random mask accounts for."""

import math
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, PyTree, ScoreFn
from jaxplain.core.coarse_masks import cell_segments
from jaxplain.core.collecting import collected
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.imputation import fill_of
from jaxplain.core.low_discrepancy import Draws, unit_points
from jaxplain.core.replicates import REPLICATES, Ratio, by_replicate, counts, ratio, relative_error
from jaxplain.core.sampling import DEFAULT_CHUNK, total, wide
from jaxplain.core.segments import show, spread

Index = Literal["total", "first"]
Estimator = Literal["jansen", "saltelli"]


@method(axioms=("implementation_invariance",), plain_gradient=True, fills=True)
def sobol(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    baseline: Float[Array, "*in"],
    n_samples: Count = 32,
    cells: tuple[int, ...] = (8, 8),
    index: Index = "total",
    estimator: Estimator = "jansen",
    draws: Draws = "low_discrepancy",
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Share out the variance of the score under random masks among the cells of a grid.

    With a mask of independent uniform values, one per cell c, blended as ``x m + b (1 - m)``, the total index is
    ``T_c = E[Var(f | all cells but c)] / Var(f)`` and the first-order index ``S_c = Var(E[f | c]) / Var(f)``. Both lie
    between 0 and 1; S leaves out what c does together with others, and T counts it in full. A score that does not vary
    has indices of zero.

    Of n pairs of masks a, b, and with c of a taken from b, the numerators are means of (Saltelli et al. 2010, table 2):

    =========  ==========================  ==================================
    estimator  total                       first
    =========  ==========================  ==================================
    jansen     ``(f(a) - f(a, c))^2 / 2``  ``Var(f) - (f(b) - f(a, c))^2 / 2``
    saltelli   ``f(a) (f(a) - f(a, c))``   ``f(b) (f(a, c) - f(a))``
    =========  ==========================  ==================================

    The scores enter less f(x), and the variance is that of all 2n scores of a and b. It takes n (cells + 2)
    evaluations, and one.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; pair i of masks depends on it and on i alone.
        baseline: What a hidden pixel looks like, an array of the example's shape or a fill; a fill takes pixels for
            hidden where the mask is below 1/2.
        n_samples: Number of pairs of masks, at least 1.
        cells: Cells along each axis, with or without the channels.
        index: "total" or "first".
        estimator: "jansen" or "saltelli".
        draws: "low_discrepancy", or "independent".
        chunk: Masks evaluated together; changes memory and speed only.

    Returns:
        Unsigned, shape ``(*t, *in)``, without unit; each cell's index at all of its pixels. Estimates may leave [0, 1].

    Raises:
        InputError: The cells do not fit the example.

    References:
        Fel, Cadène, Chalvidal, Cord, Vigouroux and Serre 2021, Look at the variance, arXiv:2111.04138. Saltelli,
        Annoni, Azzini, Campolongo, Ratto and Tarantola 2010, doi:10.1016/j.cpc.2009.09.018.

    Example:
        >>> key, x = jax.random.key(0), jnp.ones(3)
        >>> indices = sobol(lambda x: x[0] + 2 * x[1], x, key=key, baseline=0 * x, n_samples=4096, cells=(3,))
        >>> (100 * indices).round()
        Array([20., 80.,  0.], dtype=float32)
    """
    return _estimate(f, x, key, baseline, cells, index, estimator, draws, chunk).once(n_samples, _pairs(cells, chunk))[
        0
    ]


@with_diagnostics(sobol)
def sobol_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    baseline: Array,
    n_samples: int,
    cells: tuple[int, ...],
    index: Index,
    estimator: Estimator,
    draws: Draws,
    chunk: int | None,
) -> Diagnosed:
    """Return the map and its relative standard error.

    From 8 groups of pairs (``jaxplain.core.replicates``), independent replicates where draws are of low discrepancy.

    Args:
        f: Score of one example.
        x: The example.
        key, baseline, n_samples, cells, index, estimator, draws, chunk: As in ``sobol``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; NaN for one pair.

    Example:
        >>> key, x = jax.random.key(0), jnp.ones(3)
        >>> _, figures = sobol_with_diagnostics(jnp.sum, x, key=key, baseline=0 * x, n_samples=1024, cells=(3,))
        >>> float(figures["stderr"]) < 0.05
        True
    """
    return _estimate(f, x, key, baseline, cells, index, estimator, draws, chunk).once(n_samples, _pairs(cells, chunk))


@in_rounds(sobol, count="n_samples", evaluations=lambda words: math.prod(words["cells"]) + 2)
def sobol_in_rounds(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    baseline: Array,
    cells: tuple[int, ...],
    index: Index,
    estimator: Estimator,
    draws: Draws,
) -> Estimate:
    """Return the estimate, which can go on."""
    return _estimate(f, x, key, baseline, cells, index, estimator, draws, None)


def _pairs(cells: tuple[int, ...], chunk: int | None) -> int:
    """Return how many pairs of masks are evaluated together: whole ones in a large chunk, parts of one in a small."""
    return max(1, (chunk or DEFAULT_CHUNK) // (math.prod(cells) + 2))


def _estimate(
    f: ScoreFn,
    x: Array,
    key: Array,
    baseline: PyTree,
    cells: tuple[int, ...],
    index: Index,
    estimator: Estimator,
    draws: Draws,
    chunk: int | None,
) -> Estimate:
    """Return the estimate: for every replicate, sums of numerators, scores and squares of scores."""
    parts = cell_segments("sobol", x.shape, cells)
    point, fill, clean = unit_points(key, 2 * parts.n, draws), fill_of(baseline, x), f(x)

    def change(mask: Array) -> Array:
        blank = fill(spread(mask, parts, x.shape) >= 0.5)
        return wide(f(show(x, blank, mask, parts)) - clean).reshape(-1)

    def sample(number: Array) -> PyTree:
        a, b = jnp.split(point(number).astype(x.dtype), 2)

        def score(row: Array) -> Array:  # a, b, then a with one cell after the other taken from b
            from_b = (row == 1) | (jnp.arange(parts.n, dtype=jnp.int32) == row - 2)
            return change(jnp.where(from_b, b, a))

        scores = collected(score, parts.n + 2, chunk)
        both = scores[:, :2]
        sums = _numerators(scores, index, estimator), jnp.mean(both, axis=1), jnp.mean(jnp.square(both), axis=1)
        return tuple(by_replicate(number, values) for values in sums)

    def finish(sums: PyTree, n: Array | int) -> Diagnosed:
        numerators, first, second = sums
        mean = jnp.sum(first, axis=0, keepdims=True) / jnp.asarray(n, first.dtype)
        taken = counts(REPLICATES, n).astype(first.dtype)[:, None]
        variances = (second - 2 * mean * first + jnp.square(mean) * taken)[..., None]
        if (index, estimator) == ("first", "jansen"):
            numerators = variances - numerators
        found = ratio(numerators, variances, n)
        maps, errors = (spread(values.reshape(*clean.shape, parts.n), parts, x.shape) for values in found)
        return maps.astype(x.dtype), {"stderr": relative_error(Ratio(maps, errors), x.ndim)}

    return Estimate(sample, total, finish)


def _numerators(scores: Array, index: Index, estimator: Estimator) -> Array:
    """Return one pair's part ``(t, cells)`` of the numerators; for Jansen's first order, what is taken off."""
    a, b, mixed = scores[:, :1], scores[:, 1:2], scores[:, 2:]
    if estimator == "jansen":
        return jnp.square((a if index == "total" else b) - mixed) / 2
    return a * (a - mixed) if index == "total" else b * (mixed - a)
