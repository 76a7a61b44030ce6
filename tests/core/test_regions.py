"""Regions grown from overlapping segments, against a loop over masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError, InputTypeError
from jaxplain.core.regions import Segmentations, as_segmentations, grow
from jaxplain.core.segments import grid_segments
from jaxplain.testing.tolerance import tol

SPACE = (6, 8)
GRIDS = np.stack([grid_segments(SPACE, cells) for cells in ((1, 2), (2, 2), (3, 4), (6, 4))])


def by_masks(attribution, labels, min_pixels):
    """The same by boolean masks, one after the other."""
    masks = [one == number for one in labels for number in range(one.max() + 1)]
    covered, out = np.zeros(attribution.shape, bool), np.zeros(attribution.shape)
    while True:
        fresh = [mask & ~covered for mask in masks]
        densities = [attribution[new].mean() if new.sum() >= min_pixels else -np.inf for new in fresh]
        best = int(np.argmax(densities))
        if densities[best] == -np.inf:
            break
        out[fresh[best]] = densities[best]
        covered |= fresh[best]
    if not covered.all():
        out[~covered] = attribution[~covered].mean()
    return out


@pytest.mark.parametrize("min_pixels", [1, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_regions_equal_a_loop_over_masks_and_keep_the_sum(x64, seed, min_pixels):
    attribution = np.random.default_rng(seed).normal(size=SPACE)
    found = grow(jnp.asarray(attribution), as_segmentations("test", GRIDS, SPACE), min_pixels)
    np.testing.assert_allclose(found, by_masks(attribution, GRIDS, min_pixels), **tol(np.float64, terms=48))
    np.testing.assert_allclose(found.sum(), attribution.sum(), **tol(np.float64, terms=48, scale=7))


def test_the_densest_union_of_segments_comes_first(x64):
    """A bright column inside a bright half: the column first, then the rest of its half, the dark half last."""
    attribution = np.zeros(SPACE)
    attribution[:, :4], attribution[:, :2] = 1.0, 5.0
    found = grow(jnp.asarray(attribution), as_segmentations("test", GRIDS, SPACE))
    np.testing.assert_allclose(found, attribution, **tol(np.float64))


def test_regions_under_jit_and_vmap_and_the_slope_is_spread_over_the_region(x64):
    scales = as_segmentations("test", GRIDS[:1], SPACE)
    maps = jnp.asarray(np.random.default_rng(1).normal(size=(3, *SPACE)))
    loop = jnp.stack([grow(one, scales) for one in maps])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda one: grow(one, scales)))(maps), loop, **tol(np.float64, terms=24)
    )
    slope = jax.grad(lambda one: grow(one, scales)[0, 0])(maps[0])
    np.testing.assert_allclose(slope, (GRIDS[0] == 0) / 24, **tol(np.float64))


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (GRIDS[0], InputError, r"segmentations of shape \(6, 8\) do not fit .* pass \(1, 6, 8\) or more maps"),
        (GRIDS[:, :5], InputError, "do not fit an example whose pixels are"),
        (GRIDS * 2, InputError, "here, segmentation 0: .*without gaps"),
        (GRIDS.astype(float), InputTypeError, "segmentation 0: segments must be integers"),
    ],
)
def test_maps_that_do_not_fit_are_refused(value, error, words):
    with pytest.raises(error, match=words):
        as_segmentations("here", value, SPACE)


def test_traced_maps_need_their_number_of_segments():
    with pytest.raises(InputTypeError, match=r"traced.*Segmentations\(labels, n\)"):
        jax.jit(lambda labels: as_segmentations("here", labels, SPACE))(GRIDS)
    known = jax.jit(lambda scales: grow(jnp.ones(SPACE), as_segmentations("here", scales, SPACE)))
    np.testing.assert_array_equal(known(Segmentations(jnp.asarray(GRIDS, jnp.int32), 24)), 1)
