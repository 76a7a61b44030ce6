"""The submodular pick: its definition by hand, its guarantee against brute force, and planted modes."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError
from jaxplain.aggregate.submodular import largest_features, segment_weights, sp_lime, submodular_pick
from jaxplain.core.segments import grid_segments
from jaxplain.methods import lime


def coverage(weights, rows):
    """The definition, written again."""
    importance = [sum(abs(w) for w in column) ** 0.5 for column in weights.T]
    return sum(i for i, column in zip(importance, weights.T, strict=True) if any(column[row] != 0 for row in rows))


def test_importance_gains_and_ties_by_hand():
    """Importance is (2, 3, 1, 1). Row 1 covers 5; then rows 2 and 3 add 1 each, the lower first; row 0 adds nothing."""
    weights = np.array([[0.0, 5, 0, 0], [2, -4, 0, 0], [0, 0, 1, 0], [-2, 0, 0, 1]])
    picked = submodular_pick(weights, 4)
    np.testing.assert_allclose(picked.importance, [2, 3, 1, 1])
    assert picked.rows.tolist() == [1, 2, 3, 0]
    np.testing.assert_allclose(picked.gains, [5, 1, 1, 0])
    assert picked.covered.all()


@pytest.mark.parametrize("seed", range(20))
def test_the_greedy_coverage_is_within_its_guarantee_of_the_best(seed):
    draw = np.random.default_rng(seed)
    n, d, picks = int(draw.integers(4, 13)), int(draw.integers(3, 10)), int(draw.integers(1, 5))
    weights = draw.normal(size=(n, d)) * (draw.random((n, d)) < 0.3)
    picked = submodular_pick(weights, picks)
    best = max(coverage(weights, rows) for rows in combinations(range(n), picks))
    np.testing.assert_allclose(picked.gains.sum(), coverage(weights, picked.rows))
    assert picked.gains.sum() >= (1 - 1 / np.e) * best - 1e-12
    assert len(set(picked.rows.tolist())) == picks


def test_only_the_largest_features_of_an_image_count():
    weights = np.array([[1.0, -3, 2, 3]])
    np.testing.assert_array_equal(largest_features(weights, 2), [[0, -3, 0, 3]])
    np.testing.assert_array_equal(largest_features(np.ones((1, 3)), 1), [[1, 0, 0]])
    np.testing.assert_array_equal(largest_features(weights, 9), weights)


def test_weights_are_means_over_segments_read_in_blocks():
    class Slices:
        """Rows that can only be sliced, as those of a store."""

        shape = (2500, 4, 4, 2)

        def __len__(self):
            return len(maps)

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            return maps[rows]

    maps, labels = np.random.default_rng(0).normal(size=Slices.shape).astype(np.float32), grid_segments((4, 4), (2, 2))
    want = np.stack([maps[:, labels == part].mean(axis=(1, 2), dtype=np.float64) for part in range(4)], axis=1)
    np.testing.assert_allclose(segment_weights(Slices(), labels), want, rtol=1e-12, atol=1e-12)


def test_maps_of_lime_show_every_planted_mode():
    """The model looks at another segment in each of four kinds of images; four picks show one image of each."""
    labels = grid_segments((4, 4), (2, 2))
    kinds = np.array([0, 0, 0, 1, 0, 2, 1, 0, 3, 0])
    images = np.random.default_rng(0).normal(size=(len(kinds), 4, 4)).astype(np.float32)
    images += 2.0 * (labels == kinds[:, None, None])

    def explain(image, kind):
        def score(x):
            return jnp.sum(jnp.where(labels == kind, x, 0.0))

        return lime(score, image, key=jax.random.key(0), segments=labels, baseline=jnp.zeros((4, 4)), ridge=0.0)

    maps = np.asarray(jax.jit(jax.vmap(explain))(images, kinds))
    picked = sp_lime(maps, labels, n_picks=4, n_features=1)
    assert sorted(kinds[picked.rows].tolist()) == [0, 1, 2, 3]
    assert picked.covered.all()


def test_images_without_a_finite_map_are_passed_over():
    weights = np.array([[np.nan, 9.0], [0.0, 1.0], [1.0, 0.0]])
    picked = submodular_pick(weights, 2)
    assert picked.rows.tolist() == [1, 2]
    np.testing.assert_allclose(picked.importance, [1, 1])
    with pytest.raises(InputError, match="3 picks of 2 images with finite maps"):
        submodular_pick(weights, 3)


def test_segments_of_another_shape_and_no_features_are_refused():
    maps = np.ones((3, 4, 4))
    with pytest.raises(InputError, match="sp_lime: segments of shape"):
        sp_lime(maps, grid_segments((4, 5), (2, 2)))
    with pytest.raises(InputError, match="n_features = 0"):
        sp_lime(maps, grid_segments((4, 4), (2, 2)), n_features=0)
