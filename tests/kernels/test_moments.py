"""Reductions over the samples of a chunk against NumPy in float64: sums, maxima, merged moments, derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.testing import tol
from jaxplain_kernels.moments import add_up, highest, merge
from jaxplain_kernels.moments.api import OP, Spec
from jaxplain_kernels.moments.cases import SMALL

FORMS = [form.name for form in OP.forms]


def normal(shape, dtype=np.float64):
    return np.random.default_rng(0).normal(loc=3.0, size=shape).astype(dtype)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("form", FORMS)
def test_sums_maxima_and_moments_are_numpys(x64, form, name):
    values = normal(SMALL[name])
    limits = tol(np.float64, terms=len(values), scale=6.0)

    @jax.jit
    def run(values):
        zero = jnp.zeros(values.shape[1:])
        merged = merge((jnp.zeros(()), zero, zero), values, jnp.ones(len(values), bool), implementation=form)
        return add_up(values, implementation=form), highest(values, implementation=form), merged

    total, most, (count, mean, m2) = run(values)
    np.testing.assert_allclose(total, values.sum(0), **limits)
    np.testing.assert_array_equal(most, values.max(0))
    assert count == len(values)
    np.testing.assert_allclose(mean, values.mean(0), **limits)
    np.testing.assert_allclose(m2, len(values) * values.var(0), **limits)


@pytest.mark.parametrize("form", FORMS)
def test_chunks_merge_into_the_moments_of_all_and_padding_is_never_seen(x64, form):
    values = normal((11, 3))
    padded = np.concatenate([values, np.full((1, 3), np.nan)])
    state = (jnp.zeros(()), jnp.zeros(3), jnp.zeros(3))
    for first in range(0, 12, 4):
        chunk = jnp.asarray(padded[first : first + 4])
        state = merge(state, chunk, jnp.arange(first, first + 4) < 11, implementation=form)
    limits = tol(np.float64, terms=11, scale=6.0)
    np.testing.assert_allclose(state[1], values.mean(0), **limits)
    np.testing.assert_allclose(state[2] / state[0], values.var(0), **limits)


@pytest.mark.parametrize("form", FORMS)
def test_derivatives_and_batches_are_those_of_the_sum(x64, form):
    values = jnp.asarray(normal((2, 7, 3)))

    def loss(v):
        return jnp.sum(jnp.sin(add_up(v**2, implementation=form)))

    want = 2 * values * jnp.cos(jnp.sum(values**2, axis=1))[:, None]
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(loss)))(values), want, **tol(np.float64, terms=7, scale=70.0))


@pytest.mark.parametrize("form", FORMS)
def test_nan_is_not_hidden(form):
    values = jnp.array([[1.0], [jnp.nan], [2.0]])
    assert jnp.isnan(add_up(values, implementation=form))
    assert jnp.isnan(highest(values, implementation=form))


def test_halves_round_less_than_a_running_sum():
    """Of 4096 equal numbers every partial sum by halves is exact; added one by one they drift."""
    values = jnp.full((2**12, 1), 0.1, jnp.float32)
    assert float(jax.jit(partial(add_up, implementation="halves"))(values)[0]) == 2**12 * float(np.float32(0.1))


def test_long_chunks_and_other_devices_keep_xlas_reduction():
    assert OP.choose(Spec("add", (8, 5)), platform="cpu").name == "halves"
    assert OP.choose(Spec("add", (65, 5)), platform="cpu").name == "xla"
    assert OP.choose(Spec("add", (8, 5)), platform="cuda").name == "xla"
