"""SmoothDiff against SmoothGrad with the same noise, the normal distribution, and a count of passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

import jaxplain
from jaxplain.graph.flow import steps
from jaxplain.graph.trace import trace
from jaxplain.methods import gradient, smoothdiff, smoothgrad
from jaxplain.testing import relu_network, smooth_network, tol
from jaxplain.testing.networks import images

KEY = jax.random.key(4)
X = jnp.asarray(images(1)[0])
SCORES = jaxplain.Logits(jnp.array([1, 3]))


def weights(*shape, seed=0):
    """Random weights in float64."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def max_pool(x, **knobs):
    """Overlapping windows, with a border in front."""
    knobs = {"window_dimensions": (3, 2), "window_strides": (2, 1), "padding": ((1, 0), (0, 0)), **knobs}
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, **knobs)


ONE_LAYER = {
    "relu": lambda x: weights(7) @ jax.nn.relu(weights(7, 36, seed=1) @ x.reshape(-1) + 0.5),
    "tanh": lambda x: weights(7) @ jnp.tanh(weights(7, 36, seed=1) @ x.reshape(-1)),
    "sine": lambda x: jnp.sum(jnp.sin(3.0 * x) * weights(6, 6)),
    "choice": lambda x: jnp.sum(jnp.where(x > 0.3, 2.0 * x, weights(6, 6) * x)),
    "larger of two": lambda x: jnp.sum(weights(6, 6) * jnp.maximum(x, x.T)),
    "clip to another pixel": lambda x: jnp.sum(weights(6, 6) * jnp.minimum(x, x[2, 3])),
    "max-pooling": lambda x: jnp.sum(max_pool(x)),
    "max-pooling of spread entries": lambda x: jnp.sum(max_pool(x, base_dilation=(1, 2), padding="VALID")),
    "quadratic form": lambda x: x.reshape(-1) @ (weights(36, 36) @ x.reshape(-1)),
    "square": lambda x: jnp.sum(weights(6, 6) * x * x),
}


@pytest.mark.parametrize("name", ONE_LAYER)
def test_of_one_layer_it_is_smoothgrad(x64, name):
    x = weights(6, 6, seed=2)
    got = smoothdiff(ONE_LAYER[name], x, key=KEY, n_samples=9, sigma=0.3, chunk=4)
    want = smoothgrad(ONE_LAYER[name], x, key=KEY, n_samples=9, sigma=0.3)
    assert np.abs(want - gradient(ONE_LAYER[name], x)).max() > 1e-3
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=100, scale=float(np.abs(want).max())))


def test_the_expected_gate_is_a_normal_probability(x64):
    """The mean gate of relu(x) is binomial with the probability Phi(x / s): beyond five standard deviations in one of
    64 entries with a probability of 4e-5."""
    x, n = jnp.linspace(-1.0, 1.0, 64), 2000
    got = np.asarray(smoothdiff(lambda x: jnp.sum(jax.nn.relu(x)), x, key=KEY, n_samples=n, sigma=0.4))
    probability = ndtr(np.asarray(x) / 0.8)
    deviations = (got - probability) / np.sqrt(probability * (1 - probability) / n)
    assert np.abs(deviations).max() < 5


def test_gates_that_agree_are_taken_for_independent(x64):
    """relu(relu(x)) opens both gates at once: SmoothGrad gives p, SmoothDiff p^2, with any number of samples."""
    x = jnp.linspace(-0.3, 0.3, 7)
    knobs = {"key": KEY, "n_samples": 40, "sigma": 0.5}
    shares = smoothgrad(lambda x: jnp.sum(jax.nn.relu(x)), x, **knobs)
    assert np.abs(shares - 0.5).max() < 0.5
    got = smoothdiff(lambda x: jnp.sum(jax.nn.relu(2.0 * jax.nn.relu(x)) / 2.0), x, **knobs)
    np.testing.assert_allclose(got, shares**2, **tol(np.float64, terms=40))


def test_dilated_max_pooling_is_known_although_jax_does_not_differentiate_it(x64):
    x = weights(6, 5, seed=2)
    knobs = {"key": KEY, "n_samples": 9, "sigma": 0.3}
    dilated = {"window_dimensions": (1, 2), "window_strides": (1, 1), "padding": "VALID", "window_dilation": (1, 2)}
    want = smoothgrad(lambda x: jnp.sum(weights(6, 3) * jnp.maximum(x[:, :-2], x[:, 2:])), x, **knobs)
    got = smoothdiff(lambda x: jnp.sum(weights(6, 3) * max_pool(x, **dilated)), x, **knobs)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=100))


@pytest.mark.parametrize("network", [smooth_network, relu_network])
def test_without_noise_it_is_the_gradient(network):
    f = jaxplain.Score(network(), SCORES)
    want = gradient(f, X)
    got = smoothdiff(f, X, key=KEY, n_samples=2, sigma=0.0)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=100, scale=float(np.abs(want).max())))


def test_an_affine_network_keeps_its_gradient():
    kernel = jax.random.normal(jax.random.key(0), (12, 3))
    got = smoothdiff(lambda x: x.reshape(-1) @ kernel + 1.0, X[:3, :2], key=KEY)
    np.testing.assert_allclose(got, kernel.T.reshape(3, 3, 2, 2), rtol=1e-6)


def test_softmax_normalizations_and_quotients_keep_their_derivative(x64):
    def f(x):
        normal = (x - x.mean()) / jnp.sqrt(jnp.mean((x - x.mean()) ** 2) + 1e-5)
        return jnp.stack([weights(5) @ jax.nn.softmax(x), weights(5) @ normal, x[0] / x[1], jnp.sort(x)[2]])

    x = jnp.asarray([0.3, -1.1, 0.7, 0.2, 1.5])
    np.testing.assert_allclose(smoothdiff(f, x, key=KEY), gradient(f, x), **tol(np.float64, terms=100))


def test_layers_in_a_scan_are_smoothed_one_by_one(x64):
    layers, x = weights(3, 6, 6) / 2, weights(6, seed=3)

    def scanned(x):
        return jnp.sum(jax.lax.scan(jax.checkpoint(lambda h, w: (jax.nn.relu(w @ h + 0.1), None)), x, layers)[0])

    def unrolled(x):
        for w in layers:
            x = jnp.maximum(w @ x + 0.1, 0)
        return jnp.sum(x)

    knobs = {"key": KEY, "n_samples": 6, "sigma": 0.3}
    want = smoothdiff(unrolled, x, **knobs)
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(smoothdiff(scanned, x, **knobs), want, **tol(np.float64, terms=100))


def convolutions(function):
    """Count the convolutions in a function's loops, and the others."""
    found = [step for step in steps(trace(function, X)) if step.equation.primitive.name == "conv_general_dilated"]
    return sum(bool(step.loops) for step in found), sum(not step.loops for step in found)


def test_noisy_copies_take_forward_passes_only():
    """Of a network with two convolutions: two per noisy copy, then two forward and two backward."""
    f = jaxplain.Score(relu_network(), jaxplain.Logit(1))
    assert convolutions(lambda x: smoothdiff(f, x, key=KEY, n_samples=20)) == (2, 4)
