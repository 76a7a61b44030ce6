"""Ranks: one tie rule for both libraries, coarse maps ranked by cell or by interpolation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxplain._errors import InputError
from jaxplain.core.ranking import rank, rank_coarse, reverse, upsample


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_rank_sorts_from_the_highest_and_keeps_row_major_order_in_ties(values):
    scores = np.array(values, np.float32)
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))
    np.testing.assert_array_equal(np.argsort(rank(scores)), expected)


def test_numpy_jax_and_jit_agree_also_on_ties_and_nan():
    scores = np.random.default_rng(0).integers(0, 4, (7, 9)).astype(np.float32)
    scores[2, 3] = np.nan
    ranks = rank(scores)
    assert ranks.dtype == np.int32 and ranks[2, 3] == scores.size - 1
    np.testing.assert_array_equal(ranks, rank(jnp.asarray(scores)))
    np.testing.assert_array_equal(ranks, jax.jit(rank)(scores))


def test_zero_and_negative_zero_are_a_tie():
    scores = np.array([0.0, -0.0, 0.0, -0.0], np.float32)
    assert rank(scores).tolist() == rank(jnp.asarray(scores)).tolist() == [0, 1, 2, 3]


def test_reverse_counts_from_the_other_end():
    ranks = rank(np.random.default_rng(0).normal(size=(3, 4)))
    np.testing.assert_array_equal(ranks + reverse(ranks), np.full((3, 4), 11))


def test_native_cells_come_together_row_major_inside():
    scores = np.array([[1.0, 4.0], [3.0, 2.0]])
    ranks = rank_coarse(scores, (4, 6), how="native")
    assert sorted(ranks[:2, 3:].ravel()) == list(range(6))
    assert ranks[:2, 3:].ravel().tolist() == list(range(6))
    assert ranks[2:, :3].ravel().tolist() == list(range(6, 12))
    np.testing.assert_array_equal(ranks, rank_coarse(jnp.asarray(scores, jnp.float32), (4, 6)))


def test_native_ranking_of_an_equal_shape_is_rank():
    scores = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(rank_coarse(scores, (5, 3)), rank(scores))


def test_upsampling_matches_jax_image_resize_and_keeps_constants():
    scores = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    expected = jax.image.resize(scores, (8, 11), "bilinear")
    np.testing.assert_allclose(upsample(scores, (8, 11)), expected, rtol=1e-5, atol=1e-5)
    assert set(upsample(np.full((3, 5), 0.1), (9, 10)).ravel()) == {0.1}
    np.testing.assert_array_equal(rank_coarse(scores, (8, 11), how="bilinear"), rank(upsample(scores, (8, 11))))


def test_bad_shapes_and_words_are_refused():
    with pytest.raises(InputError, match="cannot cover"):
        rank_coarse(np.ones((4, 4)), (2, 8))
    with pytest.raises(InputError, match="native"):
        rank_coarse(np.ones((2, 2)), (4, 4), how="nativ")
