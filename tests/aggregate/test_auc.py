"""AUC and its bootstrap: against the definition over all pairs, against scipy, and against a naive loop, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from jaxplain._errors import InputError
from jaxplain.aggregate.auc import auc, presort, undefined, weighted
from jaxplain.aggregate.bootstrap import interval, resample_counts


def over_pairs(scores, positive, weights=None):
    """The definition: every positive against every negative."""
    w = np.ones(len(scores)) if weights is None else weights
    won = (scores[:, None] > scores[None]) + 0.5 * (scores[:, None] == scores[None])
    pair = (w * positive)[:, None] * (w * ~positive)[None]
    return (won * pair).sum() / pair.sum()


sets = st.lists(st.tuples(st.integers(-4, 4), st.booleans(), st.integers(0, 5)), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(sets)
def test_auc_is_the_definition_over_pairs_with_ties_and_weights(rows):
    scores, positive, weights = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores.astype(np.float32)
    if 0 < positive.sum() < len(positive):
        assert auc(scores, positive) == pytest.approx(over_pairs(scores, positive), abs=1e-14)
    else:
        assert np.isnan(auc(scores, positive))
    if (weights * positive).sum() and (weights * ~positive).sum():
        expected = over_pairs(scores, positive, weights)
        assert auc(scores, positive, weights) == pytest.approx(expected, abs=1e-14)
        assert auc(scores, positive, weights / 3) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("decimals", [1, 8])
def test_auc_equals_the_mann_whitney_statistic(decimals):
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=500).round(decimals), rng.random(500) < 0.2
    statistic = mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert auc(scores, positive) == pytest.approx(statistic / (positive.sum() * (~positive).sum()), abs=1e-14)


@pytest.mark.parametrize("decimals", [0, 8])
def test_bootstrap_equals_a_naive_loop_exactly(decimals):
    rng = np.random.default_rng(1)
    scores, positive = rng.normal(size=120).round(decimals), rng.random(120) < 0.1
    counts = resample_counts(120, 40, seed=3)
    naive = [auc(np.repeat(scores, c), np.repeat(positive, c)) for c in counts.T]
    np.testing.assert_array_equal(weighted(presort(scores, positive), counts), naive)


def test_resamples_do_not_depend_on_how_many_are_drawn():
    counts = resample_counts(50, 20, seed=0)
    assert (counts.sum(axis=0) == 50).all()
    np.testing.assert_array_equal(counts[:, :7], resample_counts(50, 7, seed=0))
    assert (counts != resample_counts(50, 20, seed=1)).any()


def test_wide_weights_do_not_overflow():
    scores, positive = np.arange(4.0), np.array([False, True, False, True])
    weights = np.full(4, 2**20, np.int64)
    assert auc(scores, positive, weights) == over_pairs(scores, positive)


def test_undefined_is_nan_with_a_reason():
    none = np.zeros(4, bool)
    assert undefined(none) == "no positive among 4 images" and undefined(~none) == "no negative among 4 images"
    assert undefined(none[:0]) == "no images" and undefined(np.array([True, False])) is None
    assert np.isnan(auc(np.arange(4.0), none)) and np.isnan(auc(np.zeros(0), none[:0]))
    assert np.isnan(auc(np.array([0.0, np.nan, 1.0, 2.0]), np.array([True, False, True, False])))
    with pytest.raises(InputError, match="equal length"):
        presort(np.zeros(3), none)


def test_intervals_leave_out_undefined_resamples():
    values = np.array([[0.0, 1.0, 2.0, 3.0, 4.0], [np.nan, 1.0, 2.0, 3.0, np.nan], [np.nan] * 5])
    low, high = interval(values, 0.5)
    np.testing.assert_allclose(low, [1.0, 1.5, np.nan])
    np.testing.assert_allclose(high, [3.0, 2.5, np.nan])


def test_the_interval_covers_as_often_as_it_says():
    # Law: with 60 + 60 normal scores at distance 1 the AUC is Phi(1/sqrt 2); the 95 % percentile interval covers it in
    # 0.92 to 0.97 of samples. Over 150 samples, fewer than 126 covered has probability below 1e-4 at 0.92.
    covered, truth = 0, 0.7602499389065233
    for seed in range(150):
        rng = np.random.default_rng(seed)
        positive = np.arange(120) < 60
        scores = rng.normal(size=120) + positive
        low, high = interval(weighted(presort(scores, positive), resample_counts(120, 100, seed=seed))[None])
        covered += bool(low[0] <= truth <= high[0])
    assert covered >= 126
