"""Coarse masks on a fine grid, and weighted sums of them that never leave the coarse one.

A mask is a grid of g cells along an axis of length L. As published for RISE, a cell is ``ceil(L / g)`` long, the grid
is stretched bilinearly to ``(g + 1) * cell`` (half-pixel centers; beyond the outermost centers it is mirrored there, as
``skimage.transform.resize`` of the authors' code does), and L entries are cut out from a random shift in
``[0, cell)`` on. All axes are treated alike, so signals and volumes work too.

With W the table of the stretched grid's weights, a mask is ``sum_i W[shift + p, i] m[i]`` along every axis. It is
linear in m, so a weighted sum over masks needs the sum ``C[shift, i]`` of weighted coarse masks for each shift only:
an array as large as the map, however many masks are summed.
"""

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
PRECISION = lax.Precision.HIGHEST
"""Of the products: TF32 would round the weights to three digits."""


def cell_sizes(shape: tuple[int, ...], grid: tuple[int, ...]) -> tuple[int, ...]:
    """Return the length of a cell along every axis: shifts are whole numbers from 0 to one less.

    Args:
        shape: The fine grid.
        grid: Number of cells along each of its axes.

    Example:
        >>> cell_sizes((224, 224), (8, 7))
        (28, 32)
    """
    return tuple(-(-size // cells) for size, cells in zip(shape, grid, strict=True))


def upsample(masks: Array, shifts: Array, *, shape: tuple[int, ...]) -> Array:
    """Stretch coarse masks and cut them out.

    Args:
        masks: ``(n, *grid)``, any values.
        shifts: ``(n, axes)``, whole numbers from 0 to ``cell_sizes(...)`` less one.
        shape: The fine grid.

    Returns:
        ``(n, *shape)`` in the dtype of the masks.

    References:
        Petsiuk, Das and Saenko 2018, RISE: randomized input sampling for explanation, arXiv:1806.07421.

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.round(upsample(jnp.array([[3.0, 0.0]]), jnp.array([[1]]), shape=(4,)))
        Array([[3., 2., 1., 0.]], dtype=float32)
    """
    found = masks
    for weights in axis_weights(masks.dtype, masks.shape[1:], shifts, shape):
        # The axis of cells goes, the fine one comes last: after all axes their order is the old one.
        found = lax.dot_general(found, weights, (((1,), (2,)), ((0,), (0,))), precision=PRECISION)
    return found


def axis_weights(dtype: jnp.dtype, grid: tuple[int, ...], shifts: Array, shape: tuple[int, ...]) -> list[Array]:
    """Return for every axis the weights ``(n, size, cells)`` of the cells at every position of every mask."""
    found = []
    for axis, (size, cells) in enumerate(zip(shape, grid, strict=True)):
        positions = shifts[:, axis, None].astype(jnp.int32) + lax.iota(jnp.int32, size)[None]
        found.append(_table(size, cells, dtype)[positions])
    return found


def collect(scores: Array, masks: Array, shifts: Array, *, shape: tuple[int, ...]) -> Array:
    """Sum coarse masks by weights, apart for each shift.

    One matrix product of scores at their shift along the first axis with masks at their shift along the others. Sums
    over chunks of masks are sums of these arrays; ``spread`` makes maps of them at the end.

    Args:
        scores: ``(n, t)``, t weights per mask.
        masks: ``(n, *grid)``.
        shifts: ``(n, axes)``.
        shape: The fine grid.

    Returns:
        ``(t, *cell_sizes, *grid)`` in the dtype of the scores: about as many entries as t maps.
    """
    n, dtype = len(masks), scores.dtype
    cells = cell_sizes(shape, masks.shape[1:])
    first, *others = (jax.nn.one_hot(shifts[:, axis], cell, dtype=dtype) for axis, cell in enumerate(cells))
    left = scores[:, :, None] * first[:, None]
    right = masks.astype(dtype).reshape(n, 1, -1)
    for other in reversed(others):
        right = (other[:, :, None, None] * right[:, None]).reshape(n, -1, right.shape[-1])
    found = lax.dot_general(left.reshape(n, -1), right.reshape(n, -1), (((0,), (0,)), ((), ())), precision=PRECISION)
    return found.reshape(scores.shape[1], *cells, *masks.shape[1:])


def spread(collected: Array, *, shape: tuple[int, ...]) -> Array:
    """Return the maps ``(t, *shape)``, ``sum_n scores[n, t] mask_n``, of what ``collect`` summed.

    Args:
        collected: ``(t, *cell_sizes, *grid)``.
        shape: The fine grid.

    Example:
        >>> import jax.numpy as jnp
        >>> masks, shifts, scores = jnp.eye(2), jnp.array([[0], [1]]), jnp.array([[6.0], [12.0]])
        >>> jnp.round(spread(collect(scores, masks, shifts, shape=(4,)), shape=(4,)))
        Array([[ 4., 10., 12., 14.]], dtype=float32)
    """
    found, grid = collected, collected.shape[1 + len(shape) :]
    for axis, (size, cells) in enumerate(zip(shape, grid, strict=True)):
        cell = found.shape[1]
        positions = lax.iota(jnp.int32, cell)[:, None] + lax.iota(jnp.int32, size)[None]
        weights = _table(size, cells, found.dtype)[positions]  # (cell, size, cells)
        of_cells = len(shape) - axis + 1
        found = lax.dot_general(found, weights, (((1, of_cells), (0, 2)), ((), ())), precision=PRECISION)
    return found


def _table(size: int, cells: int, dtype: jnp.dtype) -> Array:
    """Return the weights of the cells at every position of the stretched axis; exact but for one rounding."""
    stretched = (cells + 1) * -(-size // cells)
    doubled = (2 * lax.iota(jnp.int32, stretched) + 1) * cells - stretched  # 2 * stretched * the place among centers
    below = doubled // (2 * stretched)
    part = (doubled - below * (2 * stretched)).astype(dtype) / (2 * stretched)
    lower, upper = (jax.nn.one_hot(_mirrored(place, cells), cells, dtype=dtype) for place in (below, below + 1))
    return lower * (1 - part)[:, None] + upper * part[:, None]


def _mirrored(place: Array, cells: int) -> Array:
    last = cells - 1
    return jnp.clip(last - jnp.abs(last - jnp.abs(place)), 0, last)
