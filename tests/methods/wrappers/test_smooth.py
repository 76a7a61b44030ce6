"""Noise around methods: equal to the named gradients, exact where noise cancels, and within the valid range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxplain import Logit, Score, methods, wrap
from jaxplain.core.noise import spread_in_range
from jaxplain.testing import tol
from jaxplain.testing.networks import images, relu_network, smooth_network

KEY = jax.random.key(7)
NAMED = {"mean": methods.smoothgrad, "square": methods.smoothgrad_squared, "variance": methods.vargrad}
RNG = np.random.default_rng(3)
Q = RNG.normal(size=(5, 5))
Q = Q + Q.T


def half_form(x):
    return 0.5 * x @ jnp.asarray(Q, x.dtype) @ x


@pytest.mark.parametrize("network", [smooth_network, relu_network])
def test_around_the_gradient_it_is_smoothgrad_bit_for_bit(network):
    """With the same key and chunks, where SmoothGrad pulls every sample back; the same sums in the same order."""
    f, x = Score(network(), Logit(1)), jnp.asarray(images(1)[0])
    for n_samples, chunk in ((7, 3), (8, None)):
        knobs = {"n_samples": n_samples, "sigma": 0.2}
        want = jax.jit(lambda x: methods.smoothgrad(f, x, key=KEY, implementation="plain", chunk=chunk, **knobs))(x)  # noqa: B023
        got = jax.jit(lambda x: wrap("smooth", "gradient", chunk=chunk, **knobs)(f, x, key=KEY))(x)  # noqa: B023
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("statistic", NAMED)
def test_around_the_gradient_it_is_the_named_method_to_rounding(statistic):
    f, x = Score(smooth_network(), Logit(1)), jnp.asarray(images(1)[0])
    want = NAMED[statistic](f, x, key=KEY, n_samples=6)
    entry = wrap("smooth", "gradient", n_samples=6, statistic=statistic)
    bounds = tol(np.float32, terms=300, scale=float(jnp.abs(want).max()))
    np.testing.assert_allclose(entry(f, x, key=KEY), want, **bounds)
    named, wrapped = (one.with_diagnostics for one in (methods_entry(NAMED[statistic]), entry))
    _, a = named(f, x, key=KEY, n_samples=6)
    found, b = wrapped(f, x, key=KEY)
    np.testing.assert_allclose(found, want, **bounds)
    np.testing.assert_allclose(b["stderr"], a["stderr"], rtol=1e-3)


def methods_entry(function):
    from jaxplain._registry import find_method

    return find_method(function.__name__)


@pytest.mark.usefixtures("x64")
def test_antithetic_noise_cancels_what_is_odd():
    """The gradient of a quadratic form is linear in the noise, so every pair gives the clean gradient."""
    x = jnp.asarray(RNG.normal(size=5))
    entry = wrap("smooth", "gradient", n_samples=4, sigma=0.5, antithetic=True)
    got, figures = entry.with_diagnostics(half_form, x, key=KEY)
    np.testing.assert_allclose(got, Q @ x, **tol(np.float64, terms=20, scale=10))
    assert figures["stderr"] < 1e-12


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("statistic", ["mean", "square", "variance", "std"])
def test_antithetic_copies_are_the_noise_added_and_subtracted(statistic):
    """Pair i has the noise of the sample i without pairs."""
    x = jnp.asarray(RNG.normal(size=5))
    spread = 0.25 * (x.max() - x.min())
    noise = [spread * jax.random.normal(jax.random.fold_in(KEY, i), x.shape, x.dtype) for i in range(3)]
    maps = np.array([(x + sign * e) * (Q @ (x + sign * e)) for e in noise for sign in (1, -1)])
    squares = np.mean(maps**2, axis=0)
    want = {"mean": maps.mean(0), "square": squares, "variance": maps.var(0), "std": maps.std(0)}[statistic]
    entry = wrap("smooth", "input_x_gradient", n_samples=6, sigma=0.25, antithetic=True, statistic=statistic)
    got = entry(half_form, x, key=KEY)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=30, scale=float(squares.max())))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("outside", [0.3, 0.05, 1e-6])
def test_no_pixel_leaves_the_range_more_often_than_it_may(outside):
    """By the normal distribution; at the middle of the range, where both bounds are as near, exactly that often."""
    x = jnp.linspace(-0.5, 2.0, 11)
    spread = np.asarray(spread_in_range(x, 10.0, outside=outside, low=jnp.float64(-0.5), high=jnp.float64(2.5)))
    inside = spread > 0
    below, above = (stats.norm.sf(room[inside] / spread[inside]) for room in (np.asarray(x) + 0.5, 2.5 - np.asarray(x)))
    assert (~inside).tolist() == [True] + [False] * 10
    assert (below + above <= outside * (1 + 1e-9)).all()
    np.testing.assert_allclose((below + above)[5], outside, rtol=1e-6)
    assert (spread_in_range(x, 0.001, outside=outside)[1:-1] == 0.001 * 2.5).all()  # sigma alone, where that is less


def test_the_bounds_of_what_may_leave():
    x = jnp.array([0.0, 1.0, 4.0])
    np.testing.assert_array_equal(spread_in_range(x, 0.5, outside=1.0), np.full(3, 2.0, np.float32))
    np.testing.assert_array_equal(spread_in_range(x, 0.5, outside=0.0), np.zeros(3))
    np.testing.assert_array_equal(spread_in_range(jnp.ones(3), 0.5, outside=0.5), np.zeros(3))
    np.testing.assert_array_equal(spread_in_range(x, 0.0, outside=0.5), np.zeros(3))


def test_noise_that_may_not_leave_gives_the_clean_map():
    f, x = Score(smooth_network(), Logit(1)), jnp.asarray(images(1)[0])
    got = wrap("smooth", "gradient", n_samples=3, outside=0.0)(f, x, key=KEY)
    np.testing.assert_allclose(got, methods.gradient(f, x), **tol(np.float32, terms=300))


def test_samples_stay_within_the_range_given_to_the_method():
    """The range of LRP's first layer is that of the noise as well: one word says it for both."""
    x = jnp.asarray(np.random.default_rng(0).uniform(0.4, 0.6, (4, 4, 1)), jnp.float32)
    keywords = {"low": jnp.zeros_like(x), "high": jnp.ones_like(x)}
    seen = lambda x: jnp.sum(jnp.where((x < 0) | (x > 1), 1e6, x))  # noqa: E731
    got = wrap("smooth", "gradient", n_samples=64, sigma=9.0, outside=1e-9)(seen, x, key=KEY, **keywords)
    np.testing.assert_array_equal(got, np.ones_like(x))


def test_memory_does_not_grow_with_samples():
    f, x = Score(smooth_network(), Logit(1)), jnp.asarray(images(1)[0])
    used = []
    for n_samples in (80, 8000):
        entry = wrap("smooth", "gradient", n_samples=n_samples, statistic="std")
        compiled = jax.jit(lambda x: entry(f, x, key=KEY)).lower(x).compile()  # noqa: B023
        used.append(compiled.memory_analysis().temp_size_in_bytes)
    assert used[1] <= used[0] + 8000  # the numbers of the chunks, half a byte per sample; one map is 960 bytes
