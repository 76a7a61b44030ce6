"""IDGI: against a NumPy loop, for every chunk; steps without a gradient; scores of any size; passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.methods import idgi, idgi_with_diagnostics
from jaxplain.testing import tol

RNG = np.random.default_rng(0)
W, V, X, B = RNG.normal(size=(7, 6)), RNG.normal(size=(2, 7)), RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))


def scores(x):
    return jnp.asarray(V, x.dtype) @ jnp.tanh(jnp.asarray(W, x.dtype) @ x.reshape(-1))


def loop(values, gradients):
    found = np.zeros_like(gradients[0])
    for j, gradient in enumerate(gradients[:-1]):
        found += (values[j + 1] - values[j]) * gradient**2 / np.sum(gradient**2)
    return found


@pytest.mark.parametrize("chunk", [1, 3, 7, None])
def test_it_is_the_loop_over_steps(x64, chunk):
    n = 7
    points = [B + j / n * (X - B) for j in range(n + 1)]
    values, gradients = (np.asarray(jax.jit(jax.vmap(one))(np.stack(points))) for one in (scores, jax.jacrev(scores)))
    got = jax.jit(lambda x, b: idgi(scores, x, baseline=b, n_steps=n, chunk=chunk))(X, B)
    for k in range(2):
        np.testing.assert_allclose(got[k], loop(values[:, k], gradients[:, k]), **tol(np.float64, terms=100))


def test_what_steps_without_a_gradient_withhold_is_the_gap(x64):
    """relu(a + b - 1) on four steps to (1, 1): flat up to a sum of 1, where its derivative is 0, then 1/2 a step."""
    f = lambda x: jax.nn.relu(x[0] + x[1] - 1)  # noqa: E731
    got, figures = idgi_with_diagnostics(f, jnp.ones(2), baseline=jnp.zeros(2), n_steps=4)
    np.testing.assert_allclose(got, [0.25, 0.25], **tol(np.float64))
    np.testing.assert_allclose(figures["gap"], -0.5, **tol(np.float64))


def test_completeness_needs_no_small_steps(x64):
    got, figures = idgi_with_diagnostics(scores, jnp.asarray(X), baseline=jnp.asarray(B), n_steps=2)
    change = scores(jnp.asarray(X)) - scores(jnp.asarray(B))
    np.testing.assert_allclose(got.sum(axis=(1, 2)), change, **tol(np.float64, terms=20))
    np.testing.assert_allclose(figures["gap"], [0, 0], **tol(np.float64, terms=20))


def test_squares_of_small_gradients_do_not_vanish():
    """Gradients of 1e-25 have squares below float32's smallest number."""
    x, knobs = jnp.asarray(X, jnp.float32), {"baseline": jnp.asarray(B, jnp.float32), "n_steps": 3}
    run = jax.jit(lambda factor, x: idgi(lambda x: factor * scores(x), x, **knobs))
    np.testing.assert_allclose(run(2.0**-80, x) * 2.0**80, run(1.0, x), **tol(np.float32, terms=10))


def test_it_takes_one_pass_more_than_steps():
    """Five gradients at once and the last score: the hidden layer stands there once for the steps, batched, and once
    for the end."""
    run = jax.make_jaxpr(lambda x: idgi(lambda x: scores(x)[0], x, baseline=0 * x, n_steps=5, chunk=5))
    products = [eqn for eqn in run(jnp.asarray(X, jnp.float32)).jaxpr.eqns if eqn.primitive.name == "tanh"]
    assert sorted(eqn.outvars[0].aval.size for eqn in products) == [7, 5 * 7]


def test_memory_does_not_grow_with_the_number_of_steps():
    def bytes_for(n_steps):
        run = jax.jit(lambda x: idgi(lambda x: jnp.sum(jnp.tanh(x)), x, baseline=0 * x, n_steps=n_steps, chunk=4))
        return run.lower(jnp.ones((64, 64))).compile().memory_analysis().temp_size_in_bytes

    assert bytes_for(4000) <= 1.05 * bytes_for(40)
