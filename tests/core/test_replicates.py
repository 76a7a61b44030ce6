"""Ratios of sums and their errors against NumPy's formulas."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.core.replicates import REPLICATES, by_replicate, ratio, relative_error
from jaxplain.testing import tol


def test_samples_are_shared_out_by_their_number(x64):
    values = np.random.default_rng(0).normal(size=(20, 3))
    got = jax.vmap(by_replicate)(jnp.arange(20, dtype=jnp.int32), jnp.asarray(values)).sum(axis=0)
    want = [values[group::REPLICATES].sum(axis=0) for group in range(REPLICATES)]
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=3))


def test_with_equal_weights_the_error_is_that_of_a_mean(x64):
    sums = np.random.default_rng(0).normal(size=(8, 5))
    found = ratio(jnp.asarray(sums), jnp.ones((8, 1)), 80)
    np.testing.assert_allclose(found.value, sums.mean(axis=0), **tol(np.float64, terms=8))
    np.testing.assert_allclose(found.error, sums.std(axis=0, ddof=1) / np.sqrt(8), **tol(np.float64, terms=8))
    want = np.linalg.norm(found.error) / np.linalg.norm(found.value)
    np.testing.assert_allclose(relative_error(found, 1), want, **tol(np.float64, terms=8))


def test_fewer_samples_than_replicates_count_as_so_many_groups(x64):
    sums = np.zeros((8, 1))
    sums[:3, 0] = 1.0, 4.0, 7.0
    weights = np.zeros((8, 1))
    weights[:3] = 1
    found = ratio(jnp.asarray(sums), jnp.asarray(weights), 3)
    np.testing.assert_allclose(found.value, [4.0], **tol(np.float64))
    np.testing.assert_allclose(found.error, [np.sqrt(3)], **tol(np.float64))


def test_a_ratio_is_as_a_jackknife_says_to_first_order(x64):
    """Leaving out one group at a time gives the same standard error but for terms of higher order, here below 2 %."""
    rng = np.random.default_rng(3)
    weights = 100 + rng.normal(size=8)
    sums = 2 * weights + rng.normal(size=8)
    left = (sums.sum() - sums) / (weights.sum() - weights)
    want = np.sqrt(7 / 8 * np.sum((left - left.mean()) ** 2))
    np.testing.assert_allclose(ratio(jnp.asarray(sums), jnp.asarray(weights), 8).error, want, rtol=0.02)


def test_one_sample_has_no_error_and_no_weight_gives_zero():
    assert np.isnan(ratio(jnp.ones((8, 2)), jnp.ones((8, 2)), 1).error).all()
    found = ratio(jnp.ones((8, 2)), jnp.zeros((8, 2)), 9)
    np.testing.assert_array_equal(found.value, 0)
    np.testing.assert_array_equal(found.error, 0)
