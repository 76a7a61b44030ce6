"""Trees of players: the balanced one, and where segments sit in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.core.owen import coalitions_of, halving, places
from jaxplain.core.segments import Segments, as_segments, grid_segments


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
def test_halving_gives_a_balanced_tree_of_all_players(n):
    merges = halving(n)
    depth = {}
    for k, pair in reversed(list(enumerate(merges))):
        for one in pair:
            depth[one] = depth.get(n + k, 0) + 1
    assert len(merges) == n - 1 and sorted(depth) == list(range(2 * n - 2))
    assert all(depth[player] <= int(n - 1).bit_length() for player in range(n if n > 1 else 0))


@pytest.mark.parametrize("n", [1, 2, 6, 16])
def test_a_balanced_tree_takes_two_thirds_of_the_square_of_its_players(n):
    coalitions, weights = coalitions_of(halving(n), n, 10_000)
    assert len(np.unique(coalitions, axis=0)) == len(coalitions) <= 2 + 2 * n**2
    if n == 16:
        assert len(coalitions) == 2 + 2 * (n**2 - 1) // 3
    # Each player has what all add, and nothing of what a constant adds.
    np.testing.assert_allclose(weights.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(coalitions.T @ weights, np.eye(n), atol=1e-12)


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5, 8, 40, 172])
def test_the_budget_is_kept(budget):
    coalitions, weights = coalitions_of(halving(16), 16, budget)
    assert len(coalitions) <= max(2, budget)
    np.testing.assert_allclose((coalitions.T @ weights).sum(1), 1, atol=1e-12)


def test_a_grid_is_cut_along_its_longer_side_time_after_time():
    found = np.asarray(places(as_segments("here", grid_segments((8, 8), (4, 4)), (8, 8, 3)))).reshape(4, 4)
    assert (found[:2] < 8).all() and (found[2:] >= 8).all()
    assert (found[:2, :2] < 4).all() and (found[2:, 2:] >= 12).all()
    np.testing.assert_array_equal(np.sort(found.ravel()), np.arange(16))
    np.testing.assert_array_equal(found[:2, :2], [[0, 1], [2, 3]])


def test_maps_of_many_images_have_their_own_places_in_one_program():
    maps = np.stack([grid_segments((4, 6), (2, 2)), 3 - grid_segments((4, 6), (2, 2))])
    found = jax.jit(jax.vmap(lambda labels: places(Segments(labels, 4))))(jnp.asarray(maps))
    np.testing.assert_array_equal(found[0], places(as_segments("here", maps[0], (4, 6))))
    np.testing.assert_array_equal(found[1], found[0][::-1])


def test_a_segment_without_pixels_has_a_place():
    found = places(Segments(jnp.array([[0, 1], [3, 3]]), 4))
    np.testing.assert_array_equal(np.sort(found), np.arange(4))
