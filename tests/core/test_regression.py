"""Weighted ridge regression from running sums, against least squares on all rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.core.regression import jackknife, r_squared, ridge_fit, weighted_sums
from jaxplain.core.sampling import reduce_over
from jaxplain.testing import tol

N, FEATURES, GROUPS = 60, 4, 5
_draw = np.random.default_rng(0)
ROWS = np.concatenate([np.ones((N, 1)), _draw.normal(size=(N, FEATURES - 1))], axis=1)
SCORES = ROWS @ _draw.normal(size=(FEATURES, 2)) + _draw.normal(size=(N, 2))
WEIGHTS = _draw.random(N)


def sums(groups=GROUPS, chunk=7):
    def sample(i):
        return (
            jnp.asarray(ROWS)[i],
            jnp.asarray(SCORES)[i],
            jnp.asarray(WEIGHTS)[i] * jax.nn.one_hot(i % groups, groups, dtype=jnp.float64),
        )

    return reduce_over(sample, N, weighted_sums, chunk=chunk)


def direct(ridge, kept=slice(None)):
    """The same by least squares, the penalty as further rows."""
    root = np.sqrt(WEIGHTS[kept])[:, None]
    penalty = np.sqrt(ridge) * np.eye(FEATURES)[1:]
    rows = np.concatenate([root * ROWS[kept], penalty])
    return np.linalg.lstsq(rows, np.concatenate([root * SCORES[kept], np.zeros((FEATURES - 1, 2))]))[0]


@pytest.mark.parametrize("ridge", [0.0, 2.5])
def test_the_fit_is_that_of_least_squares(x64, ridge):
    got = ridge_fit(sums().together, jnp.float64(ridge))[0]
    np.testing.assert_allclose(got, direct(ridge), **tol(np.float64, terms=N, safety=64))


def test_r_squared_is_the_share_of_the_weighted_variance(x64):
    coefficients = direct(1.0)
    residual = SCORES - ROWS @ coefficients
    mean = WEIGHTS @ SCORES / WEIGHTS.sum()
    want = 1 - WEIGHTS @ residual**2 / (WEIGHTS @ (SCORES - mean) ** 2)
    got = r_squared(sums().together, jnp.asarray(coefficients)[None])[0]
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=N, safety=64))


def test_the_jackknife_leaves_out_one_group_after_the_other(x64):
    without = np.stack([direct(2.0 * 0.8, np.arange(N) % GROUPS != group) for group in range(GROUPS)])
    want = 0.8 * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(jackknife(sums(), jnp.float64(2.0)), want, **tol(np.float64, terms=N, safety=256))


def test_rows_that_do_not_determine_the_coefficients_give_nan():
    twice = jnp.asarray(ROWS[:, [0, 1, 1]], jnp.float32)

    def sample(i):
        return twice[i], jnp.asarray(SCORES, jnp.float32)[i], jnp.ones(1)

    found = reduce_over(sample, N, weighted_sums)
    assert np.isnan(ridge_fit(found, jnp.float32(0))).all()
    assert np.isfinite(ridge_fit(found, jnp.float32(0.1))).all()
