"""Expected gradients: the law of its error, noise on the input, strata, and what the figures tell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError
from jaxplain.core.strata import latin_pairs
from jaxplain.methods import expected_gradients, expected_gradients_with_diagnostics
from jaxplain.testing import tol

RNG = np.random.default_rng(2)
Q = RNG.normal(size=(4, 4))
Q = Q + Q.T
X, BACKGROUND = RNG.normal(size=4), RNG.normal(size=(6, 4))


def form(x):
    return 0.5 * x @ jnp.asarray(Q, x.dtype) @ x


def exact(x, background):
    """The gradient is linear, so each path takes the one in its middle."""
    return np.mean([(x - b) * (Q @ (x + b)) / 2 for b in background], axis=0)


@pytest.mark.parametrize(
    "knobs", [{}, {"strata": 6}, {"strata": 8, "sigma": 0.3}], ids=["independent", "strata", "with noise"]
)
def test_a_quadratic_form_is_hit_within_the_standard_error(x64, knobs):
    """Errors are near normal: their norm exceeds six times the expected one with a probability of 2e-9 at most (all in
    one entry). Noise of variance s^2 adds E[e (Q e)] / 2, half of s^2 times the diagonal."""
    want = exact(X, BACKGROUND) + (knobs.get("sigma", 0) * np.ptp(X)) ** 2 * np.diag(Q) / 2
    background = jnp.asarray(BACKGROUND)
    got, figures = expected_gradients_with_diagnostics(
        form, jnp.asarray(X), key=jax.random.key(1), background=background, n_samples=4800, chunk=480, **knobs
    )
    error = np.linalg.norm(got - want) / np.linalg.norm(got)
    assert 0 < error < 6 * figures["stderr"] < 0.3
    if "sigma" not in knobs:
        left = got.sum() - (form(X) - np.mean([0.5 * b @ Q @ b for b in BACKGROUND]))
        np.testing.assert_allclose(figures["gap"], left, **tol(np.float64, terms=100))


def network(x):
    """Smooth, and curved between the baselines and the example."""
    draw = np.random.default_rng(3)
    hidden = jnp.tanh(jnp.asarray(draw.normal(size=(16, 6)) * 0.7, x.dtype) @ x)
    return jnp.asarray(draw.normal(size=16), x.dtype) @ hidden


def errors(strata, n_samples, n_runs):
    """Squared relative errors of many runs, and the squared standard errors that they report."""
    draw = np.random.default_rng(4)
    x, background = jnp.asarray(draw.normal(size=6), jnp.float32), jnp.asarray(draw.normal(size=(16, 6)), jnp.float32)
    times = (jnp.arange(400, dtype=jnp.float32) + 0.5) / 400
    paths = jax.vmap(lambda b: jax.vmap(lambda t: (x - b) * jax.grad(network)(b + t * (x - b)))(times))(background)
    knobs = {"background": background, "n_samples": n_samples, "strata": strata}
    run = jax.jit(jax.vmap(lambda key: expected_gradients_with_diagnostics(network, x, key=key, **knobs)))
    maps, figures = run(jax.random.split(jax.random.key(7), n_runs))
    off = jnp.sum((maps - jnp.mean(paths, axis=(0, 1))[None]) ** 2, axis=1)
    return np.asarray(off / jnp.sum(maps**2, axis=1)), np.asarray(figures["stderr"]) ** 2


def test_the_standard_error_is_that_of_the_map_and_strata_lower_it():
    """Of 400 runs the mean squared error has a relative standard deviation below 0.1 (six entries of unlike size), so
    the ratios stay within five of these with a probability of 1e-6. Sixteen strata on sixteen baselines left a third
    of the squared error."""
    n_runs = 400
    alone, told_alone = errors(1, 128, n_runs)
    spread, told_spread = errors(16, 128, n_runs)
    assert 0.5 < alone.mean() / told_alone.mean() < 1.5
    assert 0.5 < spread.mean() / told_spread.mean() < 1.5
    assert spread.mean() < 0.6 * alone.mean()


def test_the_points_of_a_pair_of_strata_cover_both_axes():
    """The first axis alone is a random order: of 2,000 draws each of its places has the mean 1/2 in every position, to
    six standard errors sqrt(1 / 12 / 2000), with a probability of failing of 1e-8."""
    first, second = jax.vmap(lambda key: latin_pairs(key, 5))(jax.random.split(jax.random.key(0), 2000))
    np.testing.assert_array_equal(np.sort(np.floor(first * 5), axis=1), np.tile(np.arange(5.0), (2000, 1)))
    np.testing.assert_array_equal(np.floor(second * 5), np.tile(np.arange(5.0), (2000, 1)))
    assert np.abs(first.mean(axis=0) - 0.5).max() < 6 * np.sqrt(1 / 12 / 2000)
    assert np.abs((second * 5 % 1).mean(axis=0) - 0.5).max() < 6 * np.sqrt(1 / 12 / 2000)


def test_it_is_the_loop_over_samples_each_by_its_number(x64):
    """A NumPy loop over groups of two, by their numbers: of eight samples, whose first four are those of four."""
    knobs = {"key": jax.random.key(3), "background": jnp.asarray(BACKGROUND), "sigma": 0.125}

    def summed(n, chunk):
        run = jax.jit(lambda x: n * expected_gradients(form, x, n_samples=n, strata=2, chunk=chunk, **knobs))
        return np.asarray(run(jnp.asarray(X)))

    first, more = summed(4, 2), summed(8, 6)
    maps = []
    for number in range(4):
        places, noise = jax.random.split(jax.random.fold_in(knobs["key"], number))
        times, rows = latin_pairs(places, 2)
        for member, (t, row) in enumerate(zip(np.asarray(times, float), rows, strict=True)):
            e = 0.125 * np.ptp(X) * np.asarray(jax.random.normal(jax.random.fold_in(noise, member), (4,), jnp.float64))
            b = BACKGROUND[int(row * len(BACKGROUND))]
            maps.append((X + e - b) * (Q @ (b + t * (X + e - b))))
    np.testing.assert_allclose(first, np.sum(maps[:4], axis=0), **tol(np.float64, terms=100, scale=10.0))
    np.testing.assert_allclose(more, np.sum(maps, axis=0), **tol(np.float64, terms=100, scale=10.0))


def test_memory_does_not_grow_with_the_number_of_samples():
    x, background = jnp.ones((32, 32, 3)), jnp.ones((4, 32, 32, 3))

    def bytes_for(n_samples):
        def run(x, key):
            f = lambda x: jnp.sum(jnp.tanh(x))  # noqa: E731
            return expected_gradients(f, x, key=key, background=background, n_samples=n_samples, strata=2)

        compiled = jax.jit(run).lower(x, jax.random.key(0)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, many = bytes_for(16), bytes_for(10_000)
    assert many <= 1.05 * few


def test_what_does_not_fit_is_refused():
    knobs = {"key": jax.random.key(0), "background": jnp.zeros((2, 4))}
    with pytest.raises(InputError, match=r"strata = 3 does not divide n_samples = 200; pass n_samples = 201"):
        expected_gradients(form, jnp.ones(4), strata=3, **knobs)
    with pytest.raises(InputError, match=r"expected_gradients: background of shape \(2, 4\) is no set of examples"):
        expected_gradients(jnp.sum, jnp.ones(3), **knobs)
