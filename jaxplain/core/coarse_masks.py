"""Masks on a grid of cells much coarser than the example: drawn by number, and summed by weights without growing fine.

RISE's masks are zeros and ones on the grid, stretched and shifted (``jaxplain_kernels.mask_blend``); those of Sobol'
and HSIC attribution have one value per cell, written to each of its pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import Array, PyTree
from jaxplain.core.low_discrepancy import Draws, unit_points
from jaxplain.core.ops import cell_sizes, sum_masks
from jaxplain.core.segments import Segments, grid_segments


def masked_axes(where: str, shape: tuple[int, ...], cells: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of an example that cells lie along: all, or all but the channels.

    Args:
        where: Who asks, for messages.
        shape: Shape of the example.
        cells: Number of cells along each axis.

    Raises:
        InputError: The cells do not fit the example.
    """
    axes = shape[: len(cells)]
    if not cells or len(cells) not in (len(shape), len(shape) - 1):
        raise InputError(
            f"{where}: cells {cells} must have one entry for each axis of the input {shape}, with or without channels."
        )
    if any(not 1 <= n <= size for n, size in zip(cells, axes, strict=True)):
        raise InputError(f"{where}: cells {cells} do not fit the input {shape}; pass 1 to {axes}.")
    return axes


def cell_segments(where: str, shape: tuple[int, ...], cells: tuple[int, ...]) -> Segments:
    """Return the cells of a grid as segments of an example, numbered row by row.

    Raises:
        InputError: The cells do not fit the example.
    """
    axes = masked_axes(where, shape, cells)
    return Segments(jnp.asarray(grid_segments(axes, cells), jnp.int32), math.prod(cells))


def shifted_masks(
    key: Array, shape: tuple[int, ...], grid: tuple[int, ...], draws: Draws
) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Return the function ``(i, keep) -> (mask i, shift i)``.

    Each cell of the mask ``(*grid)`` is true with probability ``keep``; the shift ``(axes,)`` is uniform among whole
    numbers below the length of a cell. Masks of one number grow with ``keep``.

    Args:
        key: Typed key of the image.
        shape: The fine grid.
        grid: Number of cells along each of its axes.
        draws: "independent", or "low_discrepancy".
    """
    lengths, n_cells = np.asarray(cell_sizes(shape, grid)), math.prod(grid)
    point = unit_points(key, n_cells + len(grid), draws)

    def draw(sample: Array, keep: Array) -> tuple[Array, Array]:
        place = point(sample)
        shift = jnp.floor(place[n_cells:] * lengths.astype(np.float32)).astype(jnp.int32)
        # Rounding may bring the largest place to the length itself.
        return (place[:n_cells] < keep).reshape(grid), jnp.minimum(shift, lengths.astype(np.int32) - 1)

    return draw


@dataclass(frozen=True)
class MaskSums:
    """The reducer of ``(weights (t,), mask (*grid), shift (axes,))`` to the sums of masks by weights, apart by shift.

    Its state has about as many entries as t maps; ``spread_masks`` makes the maps of it.

    Args:
        shape: The fine grid.
    """

    shape: tuple[int, ...]

    def init(self, like: PyTree) -> PyTree:
        """Return zeros."""
        weights, mask, _ = like
        return jnp.zeros((*weights.shape, *cell_sizes(self.shape, mask.shape), *mask.shape), weights.dtype)

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        """Add a chunk of masks by one matrix product."""
        weights, masks, shifts = values
        weights = jnp.where(valid[:, None], weights, 0)
        return state + sum_masks(weights, masks, shifts.astype(jnp.int32), shape=self.shape)

    def result(self, state: PyTree, n: Array | int) -> PyTree:
        """Return the sums."""
        return state
