"""A function that was made faster can be opened at its layers as before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import Logit, Score
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.graph.tap import tap, tap_shapes, zero_deltas
from jaxplain.models import random_network
from jaxplain.testing.tolerance import tol

LAYERS = ("layer1", "layer2/0/bn2", "layer2/0/relu@2", "conv1")


@pytest.fixture(scope="module")
def score():
    return Score(random_network("resnet18", input_shape=(32, 32, 3)), Logit(3))


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(size=(32, 32, 3)), jnp.float32)


@pytest.mark.parametrize("layer", LAYERS)
def test_values_and_gradients_at_a_layer_are_those_of_the_slower_form(score, x, layer):
    def opened(f):
        value, pull, activation = jax.vjp(lambda delta: tap(f, layer)(x, delta), zero_deltas(f, x, layer), has_aux=True)
        return value, activation, pull(jnp.ones_like(value))[0]

    for got, want in zip(jax.jit(opened)(with_fast_gradients(score)), jax.jit(opened)(score), strict=True):
        np.testing.assert_allclose(got, want, **tol(got.dtype, terms=4608, scale=float(jnp.abs(want).max()), safety=64))


def test_shapes_are_known_without_an_evaluation(score, x):
    assert tap_shapes(with_fast_gradients(score), x, LAYERS) == tap_shapes(score, x, LAYERS)
