"""Segments through the engine: shared by all images, or a map for each."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit
from jaxplain._errors import InputTypeError
from jaxplain.core.segments import Segments, grid_segments
from jaxplain.testing import tol
from jaxplain.testing.compiles import count_compiles

SHAPE = (4, 5, 2)
IMAGES = np.random.default_rng(0).normal(size=(6, *SHAPE)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(*SHAPE, 3)).astype(np.float32)
GRID = grid_segments(SHAPE[:2], (2, 2))


def linear(weights, batch):
    return jnp.tensordot(batch, weights, 3)


MODEL = jaxplain.from_function(linear, jnp.asarray(WEIGHTS))


def explained(segments, batch=4, label=1):
    """The maps of a linear model, whose values are the sums over segments."""
    known = {"segments": segments, "baseline": 0.0, "batch": batch}
    return jaxplain.explain(MODEL, IMAGES, Logit(label), method="shapley_exact", **known)


def wanted(labels, label=1):
    parts = IMAGES * WEIGHTS[..., label]
    maps = np.broadcast_to(labels.reshape((-1, *labels.shape[-2:], 1)) if labels.ndim < 4 else labels, IMAGES.shape)
    sums = [np.bincount(m.ravel(), p.ravel(), minlength=m.max() + 1)[m] for m, p in zip(maps, parts, strict=True)]
    return np.stack(sums)


def close(got, want):
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=64, scale=float(np.abs(want).max())))


def test_one_map_serves_all_images_in_every_form():
    with_channels = np.broadcast_to(GRID[..., None], SHAPE)
    for segments in (GRID, GRID.astype(np.uint8), jnp.asarray(GRID), Segments(jnp.asarray(GRID), 4), with_channels):
        close(explained(segments), wanted(GRID))
    by_channel = GRID[..., None] * 2 + np.arange(2)
    close(explained(by_channel), wanted(by_channel[None]))


def test_every_image_may_have_its_own_map():
    maps = np.random.default_rng(2).permuted(np.broadcast_to(GRID, (6, *GRID.shape)).reshape(6, -1), axis=1)
    maps = maps.reshape(6, *GRID.shape)
    for batch in (1, 4, 6):
        close(explained(maps, batch), wanted(maps))
    close(explained(Segments(maps, 4)), wanted(maps))


def test_other_maps_of_as_many_segments_make_no_new_program():
    explained(GRID)
    with count_compiles() as count:
        close(explained(3 - GRID), wanted(GRID))
        close(explained(GRID.T.copy().reshape(GRID.shape)), wanted(GRID.T.copy().reshape(GRID.shape)))
    assert count.programs == 0


def test_a_segment_without_pixels_is_allowed_where_it_is_said():
    close(explained(Segments(jnp.asarray(GRID), 6)), wanted(GRID))


@pytest.mark.parametrize(
    ("segments", "error", "words"),
    [
        (GRID * 2, InputError, r"shapley_exact: .* no pixel of the numbers \[1, 3, 5\]"),
        (GRID[:3], InputError, r"shapley_exact: segments of shape \(3, 5\) do not fit"),
        (GRID * 1.0, InputTypeError, "must be integers, got float64"),
        (np.stack([GRID] * 5), InputError, "segments has 5 entries for 6 images; pass one for each, or one for all"),
        (np.stack([GRID] * 5 + [GRID // 2 * 2]), InputError, r"image 5 have no pixel of the numbers \[1\]"),
        (np.arange(20).reshape(4, 5), InputError, "20 segments .* use kernel_shap, shapley_sampling or partition_shap"),
        (None, InputTypeError, "segments= is required"),
    ],
)
def test_what_does_not_fit_is_refused(segments, error, words):
    with pytest.raises(error, match=words):
        explained(segments)
