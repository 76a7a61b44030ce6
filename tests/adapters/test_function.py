"""Bare functions and Equinox modules as models."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError, Logit, Score, from_function
from jaxplain.graph.layers import layers
from jaxplain.graph.tap import tap, zero_deltas

PARAMS = {"w": jax.random.normal(jax.random.key(0), (3, 4)), "v": jax.random.normal(jax.random.key(1), (4, 2))}
X = jnp.array([1.0, -2.0, 0.5])


def network(params, batch, shift=0.0):
    with jax.named_scope("net"):
        with jax.named_scope("encoder"):
            hidden = jax.nn.relu(batch @ params["w"])
        with jax.named_scope("decoder"):
            return hidden @ params["v"] + shift


def test_named_scopes_are_layers():
    model = from_function(network, PARAMS)
    assert {layer.path: layer.shape for layer in layers(model, X)} == {
        "encoder/relu": (4,), "encoder": (4,), "decoder": (2,),
    }  # fmt: skip
    score = Score(model, Logit(1))
    _, pull, activation = jax.vjp(lambda d: tap(score, "encoder")(X, d), zero_deltas(score, X, "encoder"), has_aux=True)
    np.testing.assert_allclose(activation, jax.nn.relu(X @ PARAMS["w"]), rtol=1e-6)
    np.testing.assert_allclose(pull(jnp.ones(()))[0], PARAMS["v"][:, 1], rtol=1e-6)


def test_extras_reach_the_function():
    model = from_function(network, PARAMS)
    shifted = Score(model, Logit(0), extras=(jnp.array([5.0, 0.0]),))
    np.testing.assert_allclose(shifted(X), Score(model, Logit(0))(X) + 5.0, rtol=1e-6)


def test_equal_functions_compile_once():
    first, second = (from_function(partial(network, shift=1.0), PARAMS) for _ in range(2))
    assert first.apply == second.apply and hash(first.apply) == hash(second.apply)
    assert first.apply != from_function(partial(network, shift=2.0), PARAMS).apply
    with pytest.warns(UserWarning, match="lambda"):
        from_function(lambda params, batch: batch, PARAMS)
    with pytest.raises(InputError, match="function"):
        from_function(PARAMS, PARAMS)


def apply_equinox(static, params, batch):
    equinox = pytest.importorskip("equinox")
    return jax.vmap(equinox.combine(params, static))(batch)


def test_equinox_modules():
    equinox = pytest.importorskip("equinox")

    def wrap(seed):
        net = equinox.nn.MLP(3, 2, 4, depth=1, key=jax.random.key(seed))
        params, static = equinox.partition(net, equinox.is_array)
        return net, from_function(partial(apply_equinox, static), params)

    net, model = wrap(0)
    np.testing.assert_allclose(Score(model, Logit(1))(X), net(X)[1], rtol=1e-6)
    count = 0

    @jax.jit
    def run(model):
        nonlocal count
        count += 1
        return Score(model, Logit(0))(X)

    run(model), run(wrap(1)[1])
    assert count == 1
    np.testing.assert_allclose(tap(net, "relu")(X)[1], jax.nn.relu(net.layers[0](X)), rtol=1e-6)
