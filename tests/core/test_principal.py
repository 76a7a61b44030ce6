"""The first principal component against NumPy's SVD, its sign, and its derivative where eigenvalues coincide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.core.principal import principal_map
from jaxplain.testing import tol

SHAPES = [(6, 3), (3, 6), (2, 3, 4), (5, 1), (1, 5)]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_singular_value_decomposition(x64, shape, center):
    values = np.random.default_rng(0).normal(size=shape) + 0.3
    rows = values.reshape(-1, shape[-1])
    rows = rows - rows.mean(0) if center else rows
    loading = np.linalg.svd(rows, full_matrices=False)[2][0]
    want = (rows @ loading * np.sign(loading.sum())).reshape(shape[:-1])
    got = principal_map(jnp.asarray(values), center=center)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=64, scale=10.0, safety=64))


def test_the_sign_follows_the_values():
    values = jnp.asarray(np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32))
    np.testing.assert_array_equal(principal_map(-values, center=False), -principal_map(values, center=False))
    balanced = jnp.array([[3.0, -3.0], [0.0, 0.0], [1.0, -1.0]])  # the vector (1, -1) sums to zero up to rounding
    np.testing.assert_allclose(jnp.abs(principal_map(balanced, center=False)), np.sqrt(2) * np.array([3, 0, 1]), 1e-6)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_derivative_equals_differences(x64, shape, center):
    rng = np.random.default_rng(2)
    values, direction, weights = rng.normal(size=shape) + 0.3, rng.normal(size=shape), rng.normal(size=shape[:-1])

    def f(step):
        return jnp.sum(weights * principal_map(jnp.asarray(values + step * direction), center=center))

    want = (f(1e-5) - f(-1e-5)) / 2e-5
    got = jax.grad(lambda v: jnp.sum(weights * principal_map(v, center=center)))(jnp.asarray(values))
    np.testing.assert_allclose(np.sum(got * direction), want, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_derivative_is_finite_where_values_vanish(shape):
    for values in (np.zeros(shape), np.ones(shape), np.eye(*(np.prod(shape[:-1]), shape[-1])).reshape(shape)):
        got = jax.grad(lambda v: jnp.sum(principal_map(v, center=True) ** 2))(jnp.asarray(values, jnp.float32))
        assert np.isfinite(got).all()
