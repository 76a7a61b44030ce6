"""Moments, groups and percentiles against two-pass NumPy, for any cut of the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxplain._errors import InputError
from jaxplain.aggregate.groups import Grouping, merge_groups, one_hot
from jaxplain.aggregate.moments import balanced, empty, merge, merge_all, moments_of
from jaxplain.aggregate.percentile import largest, percentile


def assert_moments(got, values, tolerance=1e-12):
    values = np.asarray(values, np.float64)
    mean, variance = values.mean(axis=0), values.var(axis=0)
    assert got.count == len(values)
    np.testing.assert_allclose(got.mean, mean, rtol=tolerance, atol=tolerance * np.abs(values).max())
    assert (np.abs(got.variance - variance) <= tolerance * np.maximum(variance, mean**2)).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=6), st.floats(-1e4, 1e4), st.integers(0, 1000))
def test_any_cut_gives_the_two_pass_result(cuts, offset, seed):
    values = (np.random.default_rng(seed).normal(size=(60, 3)) + offset).astype(np.float32)
    parts = np.split(values, sorted(cuts))
    assert_moments(merge_all((moments_of(part) for part in parts), (3,)), values)


def test_variance_survives_a_large_mean():
    values = 1e6 + np.random.default_rng(0).normal(size=(3000, 2))
    whole = merge_all((moments_of(values[i : i + 7]) for i in range(0, 3000, 7)), (2,))
    np.testing.assert_allclose(whole.variance, values.var(axis=0), rtol=1e-8)


def test_empty_sets_are_neutral_and_nan():
    part = moments_of(np.ones((4, 2)))
    assert merge(empty((2,)), part) is part and merge(part, empty((2,))) is part
    assert np.isnan(empty((2,)).mean).all() and np.isnan(empty((2,)).variance).all()
    assert np.isnan(balanced([empty((2,))], (2,)).mean).all()


def test_balanced_is_the_equal_weight_mixture():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(10, 4)), 3 + rng.normal(size=(50, 4))
    mixture = np.concatenate([np.repeat(a, 5, axis=0), b])
    got = balanced([moments_of(a), empty((4,)), moments_of(b)], (4,))
    np.testing.assert_allclose(got.mean, mixture.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(got.variance, mixture.var(axis=0), rtol=1e-12)
    assert got.count == 60


LABELS = np.array([0, 1, 2, 0, -1, 1, 0, 2])
SAID = np.array([0, 1, 0, 0, 1, 0, 2, 2])
VALID = np.array([True, True, True, True, True, True, False, True])


@pytest.mark.parametrize("select", ["true", "predicted", "true_and_predicted"])
def test_groups_without_a_target_axis(select):
    maps = np.random.default_rng(0).normal(size=(8, 2, 3))
    maps[~VALID] = np.nan
    grouping = Grouping(4, select)
    done = grouping.complete(grouping.moments(maps, LABELS, SAID, VALID), (2, 3))
    assert tuple(done) == grouping.names and len(done) == 10
    true, said = (np.equal.outer(given, np.arange(4)) for given in (LABELS, SAID))
    chosen = {"true": true, "predicted": said, "true_and_predicted": true & said}[select]
    means = []
    for label in range(3):
        rows = chosen[:, label] & VALID
        np.testing.assert_allclose(done[f"label/{label}"].mean, maps[rows].mean(axis=0))
        np.testing.assert_allclose(done[f"prediction/{label}"].mean, maps[said[:, label] & VALID].mean(axis=0))
        means.append(maps[rows].mean(axis=0))
    assert done["label/3"].count == 0 and np.isnan(done["label/3"].mean).all()
    np.testing.assert_allclose(done["overall/macro"].mean, np.mean(means, axis=0))
    np.testing.assert_allclose(done["overall/micro"].mean, maps[VALID].mean(axis=0))


def test_groups_with_a_target_axis_take_their_own_target():
    rng = np.random.default_rng(0)
    maps, labels = rng.normal(size=(30, 3, 5)), rng.random((30, 3)) < (0.6, 0.3, 0.1)
    said, valid = rng.random((30, 3)) < 0.5, rng.random(30) < 0.9
    grouping = Grouping(3, "true", targets=True, exclude=(0,))
    found: dict = {}
    for i in range(0, 30, 7):
        found = merge_groups(found, grouping.moments(*(rows[i : i + 7] for rows in (maps, labels, said, valid))))
    done = grouping.complete(found, (5,))
    per_label = [maps[labels[:, k] & valid, k] for k in range(3)]
    for label in range(3):
        assert_moments(done[f"label/{label}"], per_label[label])
        assert_moments(done[f"prediction/{label}"], maps[said[:, label] & valid, label])
    assert_moments(done["overall/micro"], np.concatenate(per_label))
    np.testing.assert_allclose(done["overall/macro"].mean, np.mean([m.mean(axis=0) for m in per_label[1:]], axis=0))


def test_select_all_compares_targets_on_the_same_images():
    maps = np.random.default_rng(0).normal(size=(8, 3, 2))
    found = Grouping(3, "all", targets=True).moments(maps, LABELS, SAID, VALID)
    np.testing.assert_allclose(found["label/1"].mean, maps[VALID, 1].mean(axis=0))
    with pytest.raises(InputError, match="target axis"):
        Grouping(3, "all")


def test_bad_groupings_are_refused():
    with pytest.raises(InputError, match="row 1"):
        one_hot(np.array([0, 3]), 3)
    with pytest.raises(InputError, match="columns"):
        one_hot(np.zeros((2, 4)), 3)
    with pytest.raises(InputError, match="predicted"):
        Grouping(3, "predictd")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="exclude"):
        Grouping(3, exclude=(3,))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-(2.0**90), 2.0**90, width=32), min_size=1, max_size=60),
    st.sampled_from([0, 1, 50, 99, 99.9, 100]),
)
def test_percentile_is_the_nearest_rank_exactly(values, q):
    array = np.array(values, np.float32)
    expected = np.percentile(np.abs(array), q, method="inverted_cdf")
    assert percentile(lambda: np.array_split(array, 3), q) == expected
    assert largest(lambda: np.array_split(array, 3)) == np.abs(array).max()


def test_percentile_leaves_out_nan_and_names_bad_percentages():
    assert percentile(lambda: [np.array([np.nan, 2.0]), np.zeros((0, 3))], 99) == 2.0
    assert np.isnan(percentile(lambda: [], 50)) and np.isnan(largest(lambda: []))
    assert largest(lambda: [np.array([np.nan, -2.0])]) == 2.0
    with pytest.raises(InputError, match="101"):
        percentile(lambda: [], 101)
