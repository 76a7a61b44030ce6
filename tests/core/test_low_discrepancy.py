"""Low-discrepancy points: Sobol' points against SciPy, and what scrambling and replicates keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxplain._errors import InputError
from jaxplain.core.low_discrepancy import sobol_words, unit_points
from jaxplain.core.replicates import REPLICATES


def drawn(n, dimensions, draws="low_discrepancy", seed=0):
    """Points of the first replicate, or the first n independent ones."""
    step = REPLICATES if draws == "low_discrepancy" else 1
    return np.asarray(jax.vmap(unit_points(jax.random.key(seed), dimensions, draws))(step * jnp.arange(n)))


def test_unscrambled_points_are_scipys():
    """SciPy counts in Gray code."""
    number = np.arange(1024, dtype=np.uint32)
    got = np.asarray(sobol_words(jnp.asarray(number ^ (number >> 1)))) / 2.0**32
    np.testing.assert_array_equal(got, stats.qmc.Sobol(16, scramble=False, bits=32).random(1024))


@pytest.mark.parametrize("n", [4, 64])
def test_every_interval_of_every_dimension_holds_one_point(n):
    """Also in dimensions beyond one block, and for the next n points."""
    points = drawn(2 * n, 40)
    for part in (points[:n], points[n:]):
        np.testing.assert_array_equal(
            np.sort((part * n).astype(int), axis=0), np.arange(n)[:, None] + np.zeros((1, 40))
        )


def test_the_first_dimensions_fill_the_square_evenly():
    """The first two make a (0, 2)-sequence: every dyadic box of area 1/n has one of n points."""
    points = drawn(64, 2)
    for along in range(7):
        boxes = (points * [2**along, 64 >> along]).astype(int)
        assert len({tuple(box) for box in boxes}) == 64


@pytest.mark.parametrize("draws", ["independent", "low_discrepancy"])
def test_one_point_is_uniform_over_keys_and_its_coordinates_are_independent(draws):
    """Chi-squared over a 4 x 4 table of two coordinates of 4,096 keys; fails with probability 1e-6 for each pair."""
    keys = jax.random.split(jax.random.key(1), 4096)
    points = np.asarray(jax.vmap(lambda key: unit_points(key, 20, draws)(jnp.int32(13)))(keys))
    assert points.min() >= 0 and points.max() < 1 and points.dtype == np.float32
    for one, other in ((0, 1), (2, 3), (0, 17), (18, 19)):
        table, *_ = np.histogram2d(points[:, one], points[:, other], bins=4, range=[(0, 1), (0, 1)])
        assert np.sum((table - 256) ** 2 / 256) < stats.chi2.ppf(1 - 1e-6, 15)


def test_points_differ_between_keys_and_replicates():
    """Two points of 20 coordinates coincide with probability 2^-480."""
    point = unit_points(jax.random.key(0), 20, "low_discrepancy")
    again = unit_points(jax.random.key(1), 20, "low_discrepancy")
    assert not np.array_equal(point(jnp.int32(0)), point(jnp.int32(1)))
    assert not np.array_equal(point(jnp.int32(0)), again(jnp.int32(0)))
    np.testing.assert_array_equal(point(jnp.int32(5)), jax.jit(jax.vmap(point))(jnp.arange(8))[5])


def test_unknown_draws_are_refused():
    with pytest.raises(InputError, match="did you mean 'low_discrepancy'"):
        unit_points(jax.random.key(0), 3, "low_discrepanc")
