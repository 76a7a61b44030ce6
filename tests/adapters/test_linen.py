"""Linen modules: names, values and gradients of layers, equality, and what is refused."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxplain import InputError, Logit, Logits, Score, from_linen
from jaxplain.graph.layers import layers
from jaxplain.graph.tap import tap, zero_deltas

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (6, 6, 2))


class Block(nn.Module):
    features: int = 3
    act: Any = nn.relu

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(self.features, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=True)(x)
        return self.act(x)


class Head(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(x.mean((1, 2)))


class Net(nn.Module):
    remat: bool = False
    act: Any = nn.relu

    def setup(self):
        block = nn.remat(Block) if self.remat else Block
        self.one = block(act=self.act)
        self.two = block(act=self.act)
        self.mix = nn.Dense(3)
        self.head = Head()

    def features(self, x):
        return self.two(self.one(x))

    def __call__(self, x):
        return self.head(self.mix(self.mix(self.features(x))))


def model_of(module, x=X):
    return from_linen(module, module.init(KEY, x[None]))


def gradient_at(score, names, x=X):
    value, pull, activations = jax.vjp(lambda d: tap(score, names)(x, d), zero_deltas(score, x, names), has_aux=True)
    return pull(jnp.ones_like(value))[0], activations


@pytest.mark.parametrize("remat", [False, True])
def test_layers_have_module_paths(remat):
    found = {layer.path: layer for layer in layers(model_of(Net(remat=remat)), X)}
    assert list(found) == [
        "one/Conv_0", "one/BatchNorm_0", "one/relu", "one",
        "two/Conv_0", "two/BatchNorm_0", "two/relu", "two",
        "mix", "mix@2", "head/Dense_0", "head",
    ]  # fmt: skip
    assert found["two"].shape == (6, 6, 3)
    assert found["head"].shape == (4,)
    assert found["one/Conv_0"].operation == "conv + add"


@pytest.mark.parametrize("remat", [False, True])
def test_gradient_at_a_layer_equals_two_parts(remat):
    module = Net(remat=remat)
    variables = module.init(KEY, X[None])
    bound = module.bind(variables)
    middle = bound.features(X[None])

    def rest(h):
        return bound.head(bound.mix(bound.mix(h)))[0, 1]

    gradient, activation = gradient_at(Score(from_linen(module, variables), Logit(1)), "two")
    np.testing.assert_allclose(activation, middle[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, jax.grad(rest)(middle)[0], rtol=1e-4, atol=1e-6)


def test_shared_module_called_twice():
    module = Net()
    variables = module.init(KEY, X[None])
    bound = module.bind(variables)
    score = Score(from_linen(module, variables), Logit(0))
    h = bound.features(X[None])
    once = bound.mix(h)
    (at_one, at_two), (one, two) = gradient_at(score, ("mix", "mix@2"))
    np.testing.assert_allclose(one, once[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(two, bound.mix(once)[0], rtol=1e-5, atol=1e-6)
    kernel = variables["params"]["mix"]["kernel"]
    np.testing.assert_allclose(at_one, at_two @ kernel.T, rtol=1e-4, atol=1e-6)


def test_under_jit_and_vmap():
    model = model_of(Net())
    batch = jnp.stack([X, -X, 2 * X])
    labels = jnp.array([0, 1, 2])

    @jax.jit
    def run(model, batch, labels):
        return jax.vmap(lambda x, label: gradient_at(Score(model, Logit(label)), ("one", "two/Conv_0"), x))(
            batch, labels
        )

    together = jax.tree.leaves(run(model, batch, labels))
    for number in range(3):
        alone = jax.tree.leaves(gradient_at(Score(model, Logit(labels[number])), ("one", "two/Conv_0"), batch[number]))
        for got, want in zip(together, alone, strict=True):
            np.testing.assert_allclose(got[number], want, rtol=1e-4, atol=1e-6)


class Cell(nn.Module):
    @nn.compact
    def __call__(self, carry, _):
        return nn.tanh(nn.Dense(4)(carry)), None


class Stack(nn.Module):
    remat: bool = False

    @nn.compact
    def __call__(self, x):
        cell = nn.remat(Cell) if self.remat else Cell
        scanned = nn.scan(cell, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return scanned(name="cells")(nn.Dense(4)(x), None)[0]


@pytest.mark.parametrize("remat", [False, True])
def test_scanned_stack(remat):
    module, x = Stack(remat=remat), X[0, 0]
    variables = module.init(KEY, x[None])
    params = variables["params"]
    score = Score(from_linen(module, variables), Logit(2))
    assert {layer.path: layer.shape for layer in layers(score, x)} == {
        "Dense_0": (4,), "cells/Dense_0": (3, 4), "cells": (3, 4),
    }  # fmt: skip

    def by_hand(deltas):
        h = x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
        for k in range(3):
            h = h @ params["cells"]["Dense_0"]["kernel"][k] + params["cells"]["Dense_0"]["bias"][k] + deltas[k]
            h = jnp.tanh(h)
        return h[2]

    want = jax.grad(by_hand)(jnp.zeros((3, 4)))
    got, _ = gradient_at(score, ("cells/Dense_0", "cells/Dense_0[1]"), x)
    np.testing.assert_allclose(got[0], want, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-4, atol=1e-6)


def test_without_the_adapter_the_scopes_are_read():
    module = Net(remat=True)
    variables = module.init(KEY, X[None])
    f = lambda x: module.apply(variables, x[None])[0, 1]  # noqa: E731
    paths = [layer.path for layer in layers(f, X)]
    assert "one/Conv_0" in paths and "head/Dense_0" in paths and "Net" not in paths
    gradient, _ = gradient_at(f, "two")
    wanted, _ = gradient_at(Score(from_linen(module, variables), Logit(1)), "two")
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-7)


def test_renaming_by_remat_is_undone():
    class Auto(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.remat(Head)()(nn.remat(Block)()(x))

    assert {"Block_0/Conv_0", "Head_0"} <= {layer.path for layer in layers(model_of(Auto()), X)}


def test_other_method():
    module = Net()
    model = from_linen(module, module.init(KEY, X[None]), method="features")
    assert model(X[None]).shape == (1, 6, 6, 3)
    assert {"one", "two"} <= {layer.path for layer in layers(model, X)}


def test_wrapping_twice_compiles_once():
    count = 0

    @jax.jit
    def run(model, x):
        nonlocal count
        count += 1
        return model(x)

    for seed in range(3):
        module = Net(act=partial(nn.leaky_relu, negative_slope=0.1))
        run(from_linen(module, module.init(jax.random.key(seed), X[None])), X[None])
    assert count == 1
    assert from_linen(Net(), {"params": {}}).apply != from_linen(Net(remat=True), {"params": {}}).apply


def test_a_lambda_warns_and_is_named():
    with pytest.warns(UserWarning, match=r"module\.act") as caught:
        from_linen(Net(act=lambda x: x), {"params": {}})
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_parameters_are_not_constants():
    score = Score(model_of(Net()), Logit(0))
    jaxpr = jax.make_jaxpr(lambda score, x: gradient_at(score, "two", x))(score, X)
    assert sum(np.size(const) for const in jaxpr.consts) < 16


class Training(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = True):
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dropout(0.5, deterministic=not train)(x)


class Dropping(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic: bool = False):
        return nn.Dropout(0.5, deterministic=deterministic)(nn.Dense(4)(x))


def test_training_mode_is_refused_with_the_remedy():
    module = Training()
    variables = module.init({"params": KEY, "dropout": KEY}, X[None])
    with pytest.raises(InputError, match=r"batch normalization.*Pass train=False"):
        from_linen(module, variables)(X[None])
    from_linen(module, variables, train=False)(X[None])


def test_dropout_without_a_key_is_refused():
    module = Dropping()
    variables = module.init({"params": KEY, "dropout": KEY}, X[None])
    with pytest.raises(InputError, match="Pass deterministic=True"):
        from_linen(module, variables)(X[None])
    model = from_linen(module, variables, rngs={"dropout": KEY})
    assert model(X[None]).shape == (1, 6, 6, 4)
    assert any(leaf is KEY for leaf in jax.tree.leaves(model))


def test_variables_that_do_not_fit():
    module = Net()
    variables = module.init(KEY, X[None])
    with pytest.raises(InputError, match="'params'"):
        from_linen(module, variables["params"])
    with pytest.raises(InputError, match="do not fit"):
        from_linen(module, {"params": variables["params"]})(X[None])
    with pytest.raises(InputError, match="do not fit"):
        model_of(module)(jnp.zeros((1, 6, 6, 3)))


def test_vector_score():
    score = Score(model_of(Net()), Logits(jnp.array([0, 2])))
    value, pull, _ = jax.vjp(lambda d: tap(score, "two")(X, d), zero_deltas(score, X, "two"), has_aux=True)
    (maps,) = jax.vmap(pull)(jnp.eye(2))
    assert value.shape == (2,) and maps.shape == (2, 6, 6, 3)
    np.testing.assert_allclose(maps[1], gradient_at(Score(score.model, Logit(2)), "two")[0], rtol=1e-4, atol=1e-6)


class Mixed(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(x))
        over_tokens = nn.vmap(
            nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=-2, out_axes=-2
        )
        x = nn.RNN(nn.GRUCell(4))(over_tokens(4, name="tokenwise")(nn.jit(nn.Dense)(4, name="jitted")(x)))
        return nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)])(x.mean(1))


def test_lifted_and_recurrent_modules():
    x = jax.random.normal(KEY, (5, 4))
    score = Score(model_of(Mixed(), x), Logit(0))
    shapes = {layer.path: layer.shape for layer in layers(score, x)}
    wanted = {
        "MultiHeadDotProductAttention_0/query": (5, 2, 2),
        "jitted": (5, 4),
        "tokenwise": (5, 4),
        "RNN_0/GRUCell_0": (5, 4),
        "RNN_0": (5, 4),
        "Sequential_0/relu": (4,),
        "Sequential_0": (3,),
    }
    assert wanted.items() <= shapes.items()
    gradients, activations = gradient_at(score, tuple(wanted), x)
    for gradient, activation, shape in zip(gradients, activations, wanted.values(), strict=True):
        assert gradient.shape == activation.shape == shape
        assert jnp.abs(gradient).max() > 0
    np.testing.assert_allclose(activations[-1], score.model(x[None])[0], rtol=1e-5)
