"""Statistics of drawn maps against NumPy, their errors against the spread over independent draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.core.statistics import Draws
from jaxplain.testing import tol

X = jnp.zeros(5)
OF_NUMPY = {
    "mean": lambda maps: maps.mean(axis=0),
    "square": lambda maps: (maps**2).mean(axis=0),
    "variance": lambda maps: maps.var(axis=0),
    "std": lambda maps: maps.std(axis=0),
}


def two_scores(x):
    return jnp.stack([x.sum(), x.sum()])


def drawn(units, statistic, f=jnp.sum, chunk=None):
    """The draws of a table of units ``(n, m, *out)``."""
    table = jnp.asarray(units)
    return Draws(f, X.astype(table.dtype), lambda i: table[i], len(table), statistic, chunk)


@pytest.mark.parametrize("statistic", OF_NUMPY)
@pytest.mark.parametrize(("n", "m", "chunk"), [(1, 1, None), (11, 1, None), (11, 2, 3), (3, 2, 100)])
@pytest.mark.usefixtures("x64")
def test_both_forms_are_numpys_statistic(statistic, n, m, chunk):
    units = np.random.default_rng(0).normal(100.0, 1.0, (n, m, 2, 5))
    want = OF_NUMPY[statistic](units.reshape(n * m, 2, 5))
    draws = drawn(units, statistic, two_scores, chunk)
    found, figures = draws.diagnosed()
    assert figures["stderr"].shape == (2,)
    for got in (draws.reduced(), found):
        np.testing.assert_allclose(got, want, **tol(np.float64, terms=2 * n, scale=100.0**2))


def test_a_variance_survives_a_large_mean():
    """Around 1000 the squares have 7 digits: a difference of mean squares would have none left."""
    units = np.random.default_rng(1).normal(1000.0, 0.1, (64, 2, 5)).astype(np.float32)
    want = units.astype(np.float64).reshape(128, 5).var(axis=0)
    for got in (drawn(units, "variance").reduced(), drawn(units, "variance").diagnosed()[0]):
        np.testing.assert_allclose(got, want, rtol=1e-3)


@pytest.mark.parametrize("statistic", OF_NUMPY)
@pytest.mark.parametrize("m", [1, 2])
def test_the_reported_error_is_the_spread_over_independent_draws(statistic, m):
    """300 tables of 64 units, whose maps share a part within a unit, as antithetic ones do, and are skewed.

    The root mean square of the reported errors is the spread of the 300 results: the summed squares of five entries
    over 300 tables have a relative standard deviation near sqrt(2 / 1500) = 0.04, with skewed entries about twice that,
    so their root one below 0.04; 0.2 leaves five of these.
    """
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(300, 64, 1, 5))
    units = (np.exp(0.3 * (rng.normal(size=(300, 64, m, 5)) - shared)) + 1).astype(np.float32)
    found, figures = jax.vmap(lambda table: drawn(table, statistic).diagnosed())(jnp.asarray(units))
    found = np.asarray(found, np.float64)
    reported = np.sqrt(np.mean((np.asarray(figures["stderr"]) * np.linalg.norm(found, axis=1)) ** 2))
    spread = np.sqrt(found.var(axis=0, ddof=1).sum())
    assert abs(reported / spread - 1) < 0.2, (reported, spread)


@pytest.mark.parametrize(("statistic", "want"), [("mean", 0), ("square", 0), ("variance", 0), ("std", 0)])
def test_maps_that_do_not_vary_have_no_error(statistic, want):
    found, figures = drawn(np.full((8, 1, 5), 3.0, np.float32), statistic).diagnosed()
    assert float(figures["stderr"]) == want
    np.testing.assert_array_equal(found, {"mean": 3, "square": 9}.get(statistic, 0))


def test_a_standard_deviation_of_zero_has_a_derivative():
    slope = jax.grad(lambda scale: jnp.sum(drawn(scale * jnp.ones((4, 1, 5)), "std").reduced()))(2.0)
    assert slope == 0
