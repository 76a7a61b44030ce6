"""Segments: what is taken for a map of them, what is shown, and grids against a loop over pixels."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError, InputTypeError
from jaxplain.core.segments import Segments, as_segments, entries, grid_segments, segments_per_image, show, spread

LABELS = np.array([[0, 2, 2], [1, 1, 2]])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_a_map_is_counted_and_any_integers_make_one_program(dtype):
    found = as_segments("here", LABELS.astype(dtype), (2, 3, 4))
    assert (found.n, found.labels.dtype) == (3, jnp.int32)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert as_segments("here", jnp.asarray(LABELS.astype("int32")), (2, 3)).n == 3
    assert as_segments("here", found, (2, 3, 1)) is found


@pytest.mark.parametrize(
    ("labels", "shape", "words"),
    [
        (np.zeros((2, 2), int), (2, 3, 1), r"of shape \(2, 2\) do not fit .* \(2, 3, 1\); .* or \(2, 3\) for all"),
        (np.zeros((), int), (3,), r"of shape \(\) do not fit an example of shape \(3,\); pass that shape\."),
        (np.array([0, 2, 5]), (3,), r"here: .* no pixel of the numbers \[1, 3, 4\]; .*np\.unique"),
        (np.array([0, 2**40, 1]), (3,), r"no pixel of the numbers \[2, 3, 4"),
        (np.array([1, 1, 2]), (3,), r"no pixel of the numbers \[0\]"),
        (np.array([0, -1, 1]), (3,), "negative numbers such as -1"),
    ],
)
def test_maps_that_do_not_fit_or_have_gaps_are_refused(labels, shape, words):
    with pytest.raises(InputError, match=words):
        as_segments("here", labels, shape)


def test_what_is_no_array_of_integers_is_refused():
    with pytest.raises(InputTypeError, match=r"must be integers, got float64; .*astype\(int\)"):
        as_segments("here", np.zeros(3), (3,))
    with pytest.raises(InputTypeError, match=r"hides their number; pass jaxplain.core.segments.Segments"):
        jax.jit(lambda labels: as_segments("here", labels, (3,)).labels)(jnp.zeros(3, int))


def test_maps_of_many_images_may_have_fewer_segments_than_one_and_the_first_with_a_gap_is_named():
    maps = np.stack([LABELS, LABELS == 2, 2 - LABELS])
    assert segments_per_image("here", maps, (2, 3, 1)).n == 3
    maps[1] *= 2
    with pytest.raises(InputError, match=r"image 1 have no pixel of the numbers \[1\]; .*to allow it"):
        segments_per_image("here", maps, (2, 3, 1))
    maps[2, 0, 0] = -4
    with pytest.raises(InputError, match="image 2 have negative numbers such as -4"):
        segments_per_image("here", maps, (2, 3, 1))
    with pytest.raises(InputError, match=r"of shape \(2, 3\) are no maps for examples of shape \(2, 3, 1\)"):
        segments_per_image("here", LABELS, (2, 3, 1))
    allowed = Segments(np.zeros((2, 2, 3), np.int32), 5)
    assert segments_per_image("here", allowed, (2, 3, 1)) is allowed


def test_values_reach_every_pixel_of_a_segment():
    values, segments = np.arange(6.0, dtype=np.float32).reshape(2, 3), as_segments("here", LABELS, (2, 3, 2))
    want = np.zeros((2, 2, 3, 2), np.float32)
    for k, i, j, c in np.ndindex(want.shape):
        want[k, i, j, c] = values[k, LABELS[i, j]]
    np.testing.assert_array_equal(spread(jnp.asarray(values), segments, (2, 3, 2)), want)
    np.testing.assert_array_equal(entries(segments, (2, 3, 2)), [2, 4, 6])
    np.testing.assert_array_equal(entries(Segments(jnp.asarray(LABELS), 4), (2, 3)), [1, 2, 3, 0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_coalition_shows_its_segments_and_blends_between(dtype):
    x, baseline = jnp.full((2, 3, 2), 4, dtype), jnp.full((2, 3, 2), 2, dtype)
    segments = as_segments("here", LABELS, x.shape)
    for coalition in itertools.product([False, True], repeat=3):
        got = show(x, baseline, jnp.array(coalition), segments)
        want = np.where(np.array(coalition)[LABELS], 4, 2)
        np.testing.assert_array_equal(np.asarray(got, np.float32), np.repeat(want[..., None], 2, axis=-1))
        assert got.dtype == x.dtype
    blended = show(x, baseline, jnp.array([0.5, 0.0, 1.0]), segments)
    np.testing.assert_array_equal(np.asarray(blended[..., 1], np.float32), np.array([3, 2, 4])[LABELS])


@pytest.mark.parametrize(("shape", "cells"), [((4, 6), (2, 3)), ((5, 7), (2, 3)), ((5,), (5,)), ((3, 4, 5), (2, 1, 3))])
def test_grids_have_equal_cells_to_one_pixel_and_are_numbered_row_by_row(shape, cells):
    found = grid_segments(shape, cells)
    assert (found.shape, found.max() + 1) == (shape, np.prod(cells))
    for axis, (size, n) in enumerate(zip(shape, cells, strict=True)):
        along = np.unravel_index(found, cells)[axis]
        line = np.moveaxis(along, axis, 0).reshape(size, -1)
        assert (line == line[:, :1]).all() and (np.diff(line[:, 0]) >= 0).all()
        sizes = np.bincount(line[:, 0], minlength=n)
        assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize("cells", [(3,), (3, 3), (0, 1), (1, 1, 1)])
def test_grids_that_do_not_fit_are_refused(cells):
    with pytest.raises(InputError, match="do not fit axes of"):
        grid_segments((2, 4), cells)
