"""Guided IG: the path against a loop that moves group after group, ties, derivatives, the error of the steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.methods import guided_ig, guided_ig_with_diagnostics
from jaxplain.testing import tol

RNG = np.random.default_rng(1)
W, V, X, B = RNG.normal(size=(9, 13)), RNG.normal(size=9), RNG.normal(size=13), RNG.normal(size=13)
B[4] = X[4]  # has no way to go


def score(x):
    return jnp.asarray(V, x.dtype) @ jnp.tanh(jnp.asarray(W, x.dtype) @ x)


def slopes(x):
    return W.T @ (V / np.cosh(W @ x) ** 2)


def loop(gradient, x, b, *, n_steps, fraction, max_dist):
    """Move the entries of the smallest gradients that may still move, group after group, until a step is complete."""
    place, found, way = np.zeros_like(x), np.zeros_like(x), np.abs(x - b)
    here, size = gradient(b), int(np.floor(np.float32(fraction) * (x.size - 1))) + 1
    for j in range(n_steps):
        level, before = (j + 1) / n_steps, place
        place = np.maximum(place, level - max_dist)
        furthest = min(level + max_dist, 1.0)
        while way.sum() * (1 - level) < (missing := np.sum(way * (1 - place))) * (1 - 1e-12) - 1e-12:
            may = np.flatnonzero((way > 0) & (place < furthest))
            group = may[np.abs(here[may]) <= np.sort(np.abs(here[may]))[:size].max()]
            room = np.sum(way[group] * (furthest - place[group]))
            part = min(1.0, (missing - way.sum() * (1 - level)) / room)
            moved = place[group] + part * (furthest - place[group]) if part < 1 else furthest
            place = place.copy()
            place[group] = moved
        there = gradient(b + place * (x - b))
        found += (place - before) * (here + there) / 2
        here = there
    return found * (x - b)


SETTINGS = [(0.25, 0.02), (0.0, 1.0), (0.1, 0.3), (0.5, 0.5), (1.0, 0.4), (0.3, 0.0)]


@pytest.mark.parametrize(("fraction", "max_dist"), SETTINGS)
def test_it_is_the_loop_over_groups(x64, fraction, max_dist):
    knobs = {"n_steps": 11, "fraction": fraction, "max_dist": float(np.float32(max_dist))}
    want = loop(slopes, X, B, **knobs)
    got = jax.jit(lambda x, b: guided_ig(score, x, baseline=b, **knobs))(X, B)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())  # the loop stops at 1e-12


def test_a_bounded_path_lies_between_the_straight_and_the_unbounded_one(x64):
    """(2 a + b)^2 to (3, 3): the gradient of b is the smaller one, so b leads by twice the bound of 0.2."""
    gradient = lambda x: np.array([4.0, 2.0]) * (2 * x[0] + x[1])  # noqa: E731
    knobs = {"n_steps": 500, "fraction": 0.1, "max_dist": float(np.float32(0.2))}
    f = lambda x: (2 * x[0] + x[1]) ** 2  # noqa: E731
    got = guided_ig(f, jnp.full(2, 3.0), baseline=jnp.zeros(2), **knobs)
    np.testing.assert_allclose(got, loop(gradient, np.full(2, 3.0), np.zeros(2), **knobs), rtol=1e-9)
    np.testing.assert_allclose(got.sum(), 81, **tol(np.float64, terms=1000))
    assert 54 < got[0] < 72


def test_entries_of_equal_gradient_move_together(x64):
    """Where all gradients are zero, and afterwards equal, the path is straight and shares are those of the ways. The
    kink lies in the middle of a step, where the mean of both ends is right."""
    x = jnp.asarray([1.0, 2.0, 0.0, 3.0])
    got = guided_ig(lambda x: jax.nn.relu(jnp.sum(x) - 1.25), x, baseline=0 * x, n_steps=12, fraction=0.0, max_dist=1.0)
    np.testing.assert_allclose(got, x * got[0], **tol(np.float64, terms=12))
    np.testing.assert_allclose(got.sum(), 4.75, **tol(np.float64, terms=100))


def test_every_score_has_its_own_path(x64):
    x, knobs = jnp.asarray(X), {"baseline": jnp.asarray(B), "n_steps": 9, "fraction": 0.1, "max_dist": 0.5}
    other = lambda x: jnp.sum(jnp.sin(x) * jnp.roll(x, 1))  # noqa: E731
    both = jax.jit(lambda x: guided_ig(lambda x: jnp.stack([score(x), other(x)]), x, **knobs))(x)
    for got, f in zip(both, (score, other), strict=True):
        want = jax.jit(lambda x, f=f: guided_ig(f, x, **knobs))(x)
        np.testing.assert_allclose(got, want, **tol(np.float64, terms=100, scale=float(np.abs(want).max())))


def test_the_gap_falls_with_the_square_of_the_steps_on_a_straight_path(x64):
    """By four from one number of steps to its double; a path that turns has corners, and falls about as fast."""
    x, b = jnp.asarray(X), jnp.asarray(B)

    def gap(n, max_dist):
        knobs = {"baseline": b, "n_steps": n, "max_dist": max_dist}
        return abs(float(guided_ig_with_diagnostics(score, x, **knobs)[1]["gap"]))

    np.testing.assert_allclose(gap(50, 0.0) / gap(100, 0.0), 4, rtol=0.1)
    assert gap(200, 0.5) < gap(50, 0.5) / 4


def test_weights_get_the_derivative_of_the_map(x64):
    """Against central differences with steps of 1e-6 (an error of 1e-10 by rounding): the path stays what it is."""
    x, knobs = jnp.asarray(X), {"baseline": jnp.asarray(B), "n_steps": 6, "fraction": 0.2, "max_dist": 0.5}
    direction = jnp.asarray(np.random.default_rng(4).normal(size=W.shape))

    @jax.jit
    @jax.value_and_grad
    def penalty(t):
        f = lambda x: jnp.asarray(V) @ jnp.tanh((jnp.asarray(W) + t * direction) @ x)  # noqa: E731
        return jnp.sum(guided_ig(f, x, **knobs) ** 2)

    slope, h = penalty(0.0)[1], 1e-6
    np.testing.assert_allclose(slope, (penalty(h)[0] - penalty(-h)[0]) / (2 * h), rtol=1e-7)


def test_an_example_that_is_the_baseline_gets_zeros():
    x = jnp.asarray(X, jnp.float32)
    np.testing.assert_array_equal(guided_ig(score, x, baseline=x, n_steps=3), jnp.zeros(13))


def test_memory_does_not_grow_with_the_number_of_steps():
    def bytes_for(n_steps):
        run = jax.jit(lambda x: guided_ig(lambda x: jnp.sum(jnp.tanh(x)), x, baseline=0 * x, n_steps=n_steps))
        return run.lower(jnp.ones((64, 64))).compile().memory_analysis().temp_size_in_bytes

    assert bytes_for(4000) <= 1.05 * bytes_for(40)
