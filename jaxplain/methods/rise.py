"""RISE: the mean of random masks, each weighted by the score that it leaves."""

import math
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, PyTree, Range, ScoreFn
from jaxplain.core.coarse_masks import MaskSums, masked_axes, shifted_masks
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.imputation import fill_of
from jaxplain.core.low_discrepancy import Draws
from jaxplain.core.ops import mask_blend, spread_masks, stretch_masks
from jaxplain.core.replicates import REPLICATES, by_replicate, counts, ratio, relative_error
from jaxplain.core.sampling import moments, reduce_over, wide

Normalization = Literal["expected", "observed"]
Keep = Annotated[float, Range(low=0, high=1, open_low=True)]
Probes = Annotated[int, Range(low=0)]

LEVELS = np.arange(1, 10, dtype=np.float32) / np.float32(10)
PROBE_STREAM = np.uint32(0xFFFF0001)
"""Folded into the key for the masks that choose the probability: no sample has that number."""


@method(axioms=("linearity", "implementation_invariance"), plain_gradient=True, fills=True)
def rise(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    baseline: Float[Array, "*in"],
    n_samples: Count = 4000,
    cells: tuple[int, ...] = (7, 7),
    keep: Keep = 0.5,
    n_probe: Probes = 0,
    normalization: Normalization = "expected",
    draws: Draws = "independent",
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Average random masks, weighted by the score of the example that each of them leaves.

    ``map_p = sum_i f(x m_i + b (1 - m_i)) m_i[p] / (n keep)``. A mask keeps each cell of a coarse grid with probability
    ``keep``, and is stretched bilinearly and shifted at random by less than a cell. The divisor is the expectation of
    ``sum_i m_i[p]``, so the map is an unbiased estimate of E[f m_p] / E[m_p]; that sum itself
    (``normalization="observed"``) has a bias of order 1/n and usually a smaller error, as what all masks share cancels.

    Masks stay on the coarse grid but for a chunk of them, and they are summed there, so memory does not grow with n.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; mask i depends on it and on i alone.
        baseline: What a hidden pixel looks like, an array of the example's shape or a fill; a fill takes pixels for
            hidden where the mask is below 1/2.
        n_samples: Number of masks, at least 1.
        cells: Cells along each axis, with or without the channels; without, a mask hides all channels of a pixel.
        keep: Probability of keeping a cell, above 0 and up to 1.
        n_probe: 0 takes ``keep`` as it is. Otherwise so many masks are scored for each of 0.1, 0.2 ... 0.9, the same
            draws for all, and the probability under which the score varies most is taken, for this image alone; of K
            scores, the one that varies most counts (DIANNA's rule).
        normalization: "expected" divides by n keep, as published; "observed" by the sum of the masks.
        draws: "independent", or "low_discrepancy" for masks that share the cells and shifts out evenly.
        chunk: Masks evaluated together; changes memory and speed only.

    Returns:
        Unscaled, shape ``(*t, *in)``, in units of the score; the same for all channels that are masked at once.

    Raises:
        InputError: The cells do not fit the example.

    References:
        Petsiuk, Das and Saenko 2018, RISE: randomized input sampling for explanation, arXiv:1806.07421. Ranguelova et
        al. 2022, DIANNA: deep insight and neural network analysis, doi:10.21105/joss.04493.

    Example:
        >>> key, x = jax.random.key(0), jnp.ones((4, 4, 1))
        >>> constant = rise(lambda x: jnp.float32(3), x, key=key, baseline=0 * x, n_samples=9, cells=(2, 2), keep=1.0)
        >>> constant[..., 0].round(4)
        Array([[3., 3., 3., 3.],
               [3., 3., 3., 3.],
               [3., 3., 3., 3.],
               [3., 3., 3., 3.]], dtype=float32)
    """
    masking = _Masking.of(f, x, key, baseline, cells, draws)
    chosen = _chosen(masking, keep, n_probe, chunk)
    return _estimate(masking, chosen, normalization, groups=1).once(n_samples, chunk)[0]


@with_diagnostics(rise)
def rise_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    baseline: Array,
    n_samples: int,
    cells: tuple[int, ...],
    keep: Array,
    n_probe: int,
    normalization: Normalization,
    draws: Draws,
    chunk: int | None,
) -> Diagnosed:
    """Return the map and its relative standard error.

    From the means over fixed groups of masks (``jaxplain.core.replicates``): 8 sums of maps are kept, whatever the
    number of masks. With low-discrepancy masks the groups are independent replicates, so their gain shows.

    Args:
        f: Score of one example.
        x: The example.
        key, baseline, n_samples, cells, keep, n_probe, normalization, draws, chunk: As in ``rise``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; NaN for one mask.

    Example:
        >>> key, x = jax.random.key(0), jnp.ones((4, 4, 1))
        >>> knobs = {"n_samples": 16, "cells": (2, 2), "keep": 1.0}
        >>> _, figures = rise_with_diagnostics(jnp.sum, x, key=key, baseline=0 * x, **knobs)
        >>> float(figures["stderr"])
        0.0
    """
    masking = _Masking.of(f, x, key, baseline, cells, draws)
    chosen = _chosen(masking, keep, n_probe, chunk)
    return _estimate(masking, chosen, normalization, groups=REPLICATES).once(n_samples, chunk)


@in_rounds(rise, count="n_samples")
def rise_in_rounds(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    baseline: Array,
    cells: tuple[int, ...],
    keep: Array,
    n_probe: int,
    normalization: Normalization,
    draws: Draws,
) -> Estimate:
    """Return the estimate, which can go on; every round chooses the same probability anew."""
    masking = _Masking.of(f, x, key, baseline, cells, draws)
    return _estimate(masking, _chosen(masking, keep, n_probe, None), normalization, groups=REPLICATES)


class _Masking(NamedTuple):
    """How one example is masked and scored."""

    x: Array
    scores: tuple[int, ...]
    """The shape of its scores."""
    shape: tuple[int, ...]
    """The axes that are masked."""
    draw: Callable[[Array, Array], tuple[Array, Array]]
    """From a mask's number and the probability to its cells and shift."""
    probe: Callable[[Array, Array], tuple[Array, Array]]
    """The same, of other masks."""
    score: Callable[[Array, Array], Array]
    """From cells and shift to the scores, in a row."""

    @classmethod
    def of(cls, f: ScoreFn, x: Array, key: Array, baseline: PyTree, cells: tuple[int, ...], draws: Draws) -> "_Masking":
        shape = masked_axes("rise", x.shape, cells)
        fill = fill_of(baseline, x)

        def score(mask: Array, shift: Array) -> Array:
            coarse = mask.astype(wide(x).dtype)[None]
            fine = stretch_masks(coarse, shift[None], shape=shape)[0]
            kept = fine.reshape(fine.shape + (1,) * (x.ndim - len(shape))) >= 0.5
            return wide(f(mask_blend(x, fill(kept), coarse, shift[None])[0])).reshape(-1)

        draw = shifted_masks(key, shape, cells, draws)
        probe = shifted_masks(jax.random.fold_in(key, PROBE_STREAM), shape, cells, "independent")
        return cls(x, jax.eval_shape(f, x).shape, shape, draw, probe, score)

    def to_input(self, maps: Array) -> Array:
        """Write maps ``(t, *shape)`` to all channels: ``(*t, *in)``."""
        x = self.x
        whole = maps.reshape(*self.scores, *self.shape, *(1,) * (x.ndim - len(self.shape)))
        return jnp.broadcast_to(whole, (*self.scores, *x.shape)).astype(x.dtype)


def _chosen(masking: _Masking, keep: Array | float, n_probe: int, chunk: int | None) -> Array:
    """Return the probability as it is, or the one of ``LEVELS`` under which the score varies most."""
    if not n_probe:
        return jnp.asarray(keep, jnp.float32)

    def variation(level: Array) -> Array:
        scores = reduce_over(lambda i: masking.score(*masking.probe(i, level)), n_probe, moments, chunk=chunk)
        return jnp.max(scores.m2)

    levels = jnp.asarray(LEVELS)
    return levels[jnp.argmax(lax.map(variation, levels))]


def _estimate(masking: _Masking, keep: Array, normalization: Normalization, *, groups: int) -> Estimate:
    """Return the estimate: for every group, sums of masks weighted by the scores and by one."""
    shape, columns = masking.shape, math.prod(masking.scores) + 1

    def sample(number: Array) -> PyTree:
        mask, shift = masking.draw(number, keep)
        scores = masking.score(mask, shift)
        weights = jnp.append(scores, jnp.ones(1, scores.dtype))
        return (by_replicate(number, weights).reshape(-1) if groups > 1 else weights), mask, shift

    def finish(sums: Array, n: Array | int) -> Diagnosed:
        maps = spread_masks(sums, shape=shape).reshape(groups, columns, *shape)
        seen = maps[:, -1:]
        if normalization == "expected":
            seen = (counts(groups, n).astype(maps.dtype) * keep.astype(maps.dtype)).reshape(-1, *(1,) * (maps.ndim - 1))
        found = ratio(maps[:, :-1], seen, n)
        return masking.to_input(found.value), {"stderr": relative_error(found, len(shape)).reshape(masking.scores)}

    return Estimate(sample, MaskSums(shape), finish)
