"""HSIC attribution: how strongly the score depends on each cell of a random mask."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from jaxplain._errors import InputError
from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, Positive, PyTree, ScoreFn
from jaxplain.core.coarse_masks import cell_segments
from jaxplain.core.collecting import collected
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.imputation import fill_of
from jaxplain.core.low_discrepancy import Draws, unit_points
from jaxplain.core.maps import divide
from jaxplain.core.replicates import Ratio, relative_error
from jaxplain.core.sampling import DEFAULT_CHUNK, mean
from jaxplain.core.segments import show, spread

ROWS = 64
"""Rows of the kernel matrix that exist at once."""


@method(axioms=("implementation_invariance",), plain_gradient=True, fills=True)
def hsic(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    baseline: Float[Array, "*in"],
    n_samples: Count = 500,
    cells: tuple[int, ...] = (8, 8),
    bandwidth: Positive = 1.0,
    draws: Draws = "low_discrepancy",
    block: Count | None = None,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Measure how the score depends on each cell of a binary mask, by the Hilbert-Schmidt independence criterion.

    ``map_c = tr(K_c H L H) / n^2`` with ``H = I - 1/n``, over n masks that keep each cell with probability 1/2. The
    kernel of a cell is ``K_c[i, j] = 1/2 - (m_i[c] - m_j[c])^2``, that of the scores
    ``L[i, j] = exp(-(y_i - y_j)^2 / (2 s^2))`` with s the scores' standard deviation times ``bandwidth``. The index is
    zero for cells on which the score does not depend (up to a bias of order 1/n), and any kind of dependence counts.

    All scores are needed at once: n scores and the ``(n, cells)`` matrix of coarse masks are held, no images and no
    kernel matrix; the published code holds both. With ``block`` the map is the mean over blocks of so many masks (block
    HSIC), each with a bandwidth of its own: n then is the size of a block, in the memory, in the bias, and in the
    evaluations of the kernel per mask. So it goes on to a tolerance: by blocks of as many masks as the first round has.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; mask i depends on it and on i alone.
        baseline: What a hidden pixel looks like, an array of the example's shape or a fill.
        n_samples: Number of masks, at least 1; a multiple of ``block``.
        cells: Cells along each axis, with or without the channels.
        bandwidth: Width of the kernel of the scores, in their standard deviations.
        draws: "low_discrepancy", or "independent".
        block: Masks whose kernel matrix is taken together; None for all.
        chunk: Masks evaluated together; changes memory and speed only.

    Returns:
        Not negative, without unit, shape ``(*t, *in)``; each cell's index at all of its pixels.

    Raises:
        InputError: The cells do not fit the example, or the number of masks is no multiple of ``block``.

    References:
        Novello, Fel and Vigouroux 2022, Making sense of dependence: efficient black-box explanations using dependence
        measure, arXiv:2206.06219. Gretton, Bousquet, Smola and Schölkopf 2005, doi:10.1007/11564089_7.
        Zhang, Filippi, Gretton and Sejdinovic 2018, Large-scale kernel methods for independence testing,
        arXiv:1606.07892, for blocks.

    Example:
        >>> key, x = jax.random.key(0), jnp.ones(3)
        >>> found = hsic(lambda x: x[0] + 2 * x[1], x, key=key, baseline=0 * x, cells=(3,))
        >>> bool(found[1] > found[0]) and bool(found[0] > 10 * found[2])
        True
    """
    size = _size({"n_samples": n_samples, "block": block})
    estimate = _estimate(f, x, key, baseline, size, cells, bandwidth, draws, chunk)
    return estimate.once(n_samples // size, _blocks(size, chunk))[0]


@with_diagnostics(hsic)
def hsic_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    baseline: Array,
    n_samples: int,
    cells: tuple[int, ...],
    bandwidth: Array,
    draws: Draws,
    block: int | None,
    chunk: int | None,
) -> Diagnosed:
    """Return the map and its relative standard error, to first order.

    The index is the mean over masks i of ``h_i = 1/n sum_j (HKH)[i, j] (HLH)[i, j]``, and its squared standard error
    ``4 Var(h) / n``, for independent masks; with low-discrepancy masks it says too much rather than too little. That of
    a mean over blocks follows from theirs. It is the error of the draw alone: the bias of order 1/n, n being the size
    of a block, does not count, and more blocks do not lower it.

    Args:
        f: Score of one example.
        x: The example.
        key, baseline, n_samples, cells, bandwidth, draws, block, chunk: As in ``hsic``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; NaN for one mask.

    Example:
        >>> key, x = jax.random.key(0), jnp.ones(3)
        >>> _, figures = hsic_with_diagnostics(jnp.sum, x, key=key, baseline=0 * x, cells=(3,))
        >>> float(figures["stderr"]) < 0.2
        True
    """
    size = _size({"n_samples": n_samples, "block": block})
    estimate = _estimate(f, x, key, baseline, size, cells, bandwidth, draws, chunk)
    return estimate.once(n_samples // size, _blocks(size, chunk))


def _size(words: Mapping[str, Any]) -> int:
    """Return the masks of a block."""
    n, block = words["n_samples"], words["block"]
    if block is not None and n % block:
        raise InputError(f"hsic: n_samples = {n} is no multiple of block = {block}; give whole blocks.")
    return int(block or n)


@in_rounds(hsic, count="n_samples", size=_size)
def hsic_in_rounds(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    baseline: Array,
    n_samples: int,
    cells: tuple[int, ...],
    bandwidth: Array,
    draws: Draws,
    block: int | None,
) -> Estimate:
    """Return the estimate, which can go on by blocks."""
    size = _size({"n_samples": n_samples, "block": block})
    return _estimate(f, x, key, baseline, size, cells, bandwidth, draws, None)


def _blocks(size: int, chunk: int | None) -> int:
    """Return how many blocks are evaluated together."""
    return max(1, (chunk or DEFAULT_CHUNK) // size)


def _estimate(
    f: ScoreFn,
    x: Array,
    key: Array,
    baseline: PyTree,
    size: int,
    cells: tuple[int, ...],
    bandwidth: Array | float,
    draws: Draws,
    chunk: int | None,
) -> Estimate:
    """Return the estimate whose samples are blocks of masks: indices ``(t, cells)`` and their squared errors."""
    parts = cell_segments("hsic", x.shape, cells)
    point, fill, scores_shape = unit_points(key, parts.n, draws), fill_of(baseline, x), jax.eval_shape(f, x).shape

    def mask(number: Array) -> Array:
        return point(number) < 0.5

    def score(number: Array) -> Array:
        shown = mask(number)
        return f(show(x, fill(spread(shown, parts, x.shape)), shown, parts))

    def sample(number: Array) -> tuple[Array, Array]:
        first = number * size
        scores = collected(lambda i: score(first + i), size, chunk)
        masks = jax.vmap(mask)(first + jnp.arange(size, dtype=jnp.int32))
        shares = lax.map(lambda row: dependence(row, masks, bandwidth), scores.reshape(-1, size))
        if size == 1:
            return shares[:, 0], jnp.full_like(shares[:, 0], jnp.nan)
        return jnp.mean(shares, axis=1), jnp.var(shares, axis=1, ddof=1) * (4 / size)

    def finish(blocks: tuple[Array, Array], n: Array | int) -> Diagnosed:
        value, squared_error = blocks
        error = jnp.sqrt(squared_error / jnp.asarray(n, squared_error.dtype))
        found = Ratio(*(spread(one.reshape(*scores_shape, -1), parts, x.shape) for one in (value, error)))
        return found.value.astype(x.dtype), {"stderr": relative_error(found, x.ndim)}

    return Estimate(sample, mean, finish)


def dependence(scores: Array, masks: Array, bandwidth: Array | float) -> Array:
    """Return every mask's part ``(n, cells)`` of the criterion: their mean is the index.

    A cell's kernel is ``s_i s_j / 2`` with signs s, so the criterion is ``s' H L H s / (2 n^2)`` and the kernel of the
    scores is needed by rows alone.

    Args:
        scores: ``(n,)``.
        masks: ``(n, cells)``, boolean.
        bandwidth: Width of the kernel of the scores, in their standard deviations.

    Example:
        >>> masks = jnp.array([[True, True], [False, True]])
        >>> dependence(jnp.array([1.0, -1.0]), masks, jnp.float32(1.0)).mean(axis=0).round(4)
        Array([0.2162, 0.    ], dtype=float32)
    """
    n = len(scores)
    signs = jnp.where(masks, 1.0, -1.0).astype(scores.dtype)
    signs = signs - jnp.mean(signs, axis=0, keepdims=True)
    width = 2 * jnp.square(jnp.asarray(bandwidth, scores.dtype)) * jnp.var(scores)
    rate = divide(jnp.ones_like(width), width)

    def row(score: Array) -> Array:
        kernel = jnp.exp(-rate * jnp.square(score - scores))
        return jnp.matmul(kernel, signs, precision=lax.Precision.HIGHEST)

    products = lax.map(row, scores, batch_size=min(n, ROWS))
    return signs * (products - jnp.mean(products, axis=0, keepdims=True)) / (2 * n)
