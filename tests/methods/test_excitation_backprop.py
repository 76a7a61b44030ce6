"""Excitation backpropagation against matrices of probabilities, and as a distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Logits, Model, Score
from jaxplain.methods import excitation_backprop
from jaxplain.testing import relu_network, tol
from jaxplain.testing.architectures import ARCHITECTURES, FEATURES
from jaxplain.testing.networks import LAYER, images

X = jnp.abs(jnp.asarray(images(1)[0]))
NETWORKS = {network.name: network for network in ARCHITECTURES}


def without_bias():
    """The ReLU network, whose neurons then are active by their inputs alone."""
    model = relu_network(8)
    return Model({**model.params, "bias": jnp.zeros(8)}, model.apply)


def winning(x, w):
    """Probabilities of every input (rows) to win if an output (columns) does; zero for outputs without excitation."""
    excited = np.maximum(x, 0)[:, None] * np.maximum(w, 0)
    total = excited.sum(axis=0)
    return np.divide(excited, total, out=np.zeros_like(excited), where=total > 0)


def test_a_network_with_a_skip_connection_multiplies_matrices_of_probabilities(x64):
    rng = np.random.default_rng(0)
    first, second, last = rng.normal(size=(5, 6)), rng.normal(size=(6, 6)), rng.normal(size=(6, 3))
    x, bias = rng.uniform(size=5), rng.normal(size=6) / 3

    def f(x):
        hidden = jax.nn.relu(x @ jnp.asarray(first) + jnp.asarray(bias))
        branch = hidden @ jnp.asarray(second)
        return jax.nn.relu(hidden + branch) @ jnp.asarray(last) - 2.0

    hidden = np.maximum(x @ first + bias, 0)
    branch = hidden @ second
    total = np.maximum(branch, 0) + hidden
    by_branch = np.divide(np.maximum(branch, 0), total, out=np.zeros(6), where=total > 0)
    at_sum = winning(np.maximum(hidden + branch, 0), last)
    at_hidden = winning(hidden, second) @ (by_branch[:, None] * at_sum) + (1 - by_branch)[:, None] * at_sum
    want = (winning(x, first) @ at_hidden).T
    np.testing.assert_allclose(want.sum(axis=1), [1, 0, 1], atol=1e-15)  # the second score is only inhibited
    np.testing.assert_allclose(excitation_backprop(f, jnp.asarray(x)), want, **tol(np.float64, terms=100))


@pytest.mark.parametrize("layer", [None, LAYER])
def test_without_biases_the_map_is_a_distribution(layer):
    """Of any logit, whatever its sign."""
    scores = Score(without_bias(), Logits(jnp.arange(5)))
    assert scores(X).min() < 0 < scores(X).max()
    maps = excitation_backprop(scores, X, layer=layer, upsample=None)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=tuple(range(1, maps.ndim))), 1, **tol(np.float32, terms=1000))


@pytest.mark.parametrize("name", ["vgg", "resnet"])
def test_only_neurons_that_are_active_by_their_bias_lose_probability(name):
    x = jnp.abs(jnp.asarray(NETWORKS[name].images(1)[0]))
    maps = excitation_backprop(Score(NETWORKS[name].model("bare"), Logit(1)), x)
    assert maps.min() >= 0
    assert 0.9 < maps.sum() < 1


def test_negative_entries_do_not_win():
    x = jnp.where(jnp.arange(10)[:, None] % 2 == 0, X, -X)
    maps = excitation_backprop(Score(without_bias(), Logit(2)), x)
    np.testing.assert_array_equal(maps[:, 1::2], 0)
    np.testing.assert_allclose(maps.sum(), 1, **tol(np.float32, terms=1000))


def test_a_layer_is_named_as_in_the_framework():
    network = NETWORKS["vgg"]
    x = jnp.abs(jnp.asarray(network.images(1)[0]))
    cams = {
        layer: excitation_backprop(Score(network.model(form), Logit(1)), x, layer=layer, upsample=None)
        for form, layer in (("bare", FEATURES), ("linen", "stage2"), ("linen", "stage2/conv1"))
    }
    np.testing.assert_allclose(cams["stage2"], cams[FEATURES], **tol(np.float32, terms=1000))
    np.testing.assert_allclose(cams["stage2/conv1"].sum(), 1, **tol(np.float32, terms=1000))


def test_a_constant_that_is_added_outside_of_a_layer_wins_nothing():
    constants = jnp.array([5.0, -0.5, 2.0])
    weights = jnp.array([1.0, 3.0, -1.0])
    x = jnp.array([1.0, 2.0, 3.0])
    got = excitation_backprop(lambda x: jnp.dot(jax.nn.relu(x + constants), weights), x)
    np.testing.assert_allclose(got, jnp.array([6.0, 4.5, 0.0]) / 10.5, rtol=1e-6)


def test_averages_share_and_factors_pass_on():
    x = jnp.array([[1.0, 2.0], [5.0, 0.0]])
    got = excitation_backprop(lambda x: jnp.mean(-3.0 * (-x).T) / 7.0, x)
    np.testing.assert_allclose(got, x / 8, rtol=1e-6)


@pytest.mark.slow
def test_operations_without_a_rule_are_refused_or_keep_their_derivative():
    f = Score(NETWORKS["vit"].model("bare"), Logit(1))
    x = jnp.asarray(NETWORKS["vit"].images(1)[0])
    with pytest.raises(InputError, match=r"excitation_backprop: there is no rule for the operation"):
        excitation_backprop(f, x)
    assert np.isfinite(excitation_backprop(f, x, unknown="gradient")).all()


def test_explain_runs_it_on_a_batch():
    batch = np.abs(images(3))
    maps = jaxplain.explain(without_bias(), batch, jaxplain.Predicted(), method="excitation_backprop")
    np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), 1, **tol(np.float32, terms=1000))
