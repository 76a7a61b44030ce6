"""Convolutions written another way: the same values and derivatives, for every kind of convolution."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain import Logits, Model, Score
from jaxplain.graph.predicates import OfKind
from jaxplain.graph.rewrite import rewrite, with_fast_gradients
from jaxplain.graph.speed import fast_actions
from jaxplain.graph.trace import trace
from jaxplain.testing import tol
from jaxplain.testing.networks import images, relu_network

CASES = {
    "same": {"shape": (7, 6, 3), "kernel": (3, 3, 3, 4), "padding": "SAME"},
    "valid": {"shape": (7, 6, 3), "kernel": (3, 2, 3, 4), "padding": "VALID"},
    "strided": {"shape": (8, 7, 2), "kernel": (3, 3, 2, 4), "padding": "SAME", "window_strides": (2, 3)},
    "strided past the edge": {"shape": (8, 8, 2), "kernel": (2, 2, 2, 3), "padding": "VALID", "window_strides": (3, 3)},
    "uneven padding": {"shape": (6, 6, 1), "kernel": (4, 3, 1, 2), "padding": ((3, 0), (1, 5))},
    "negative padding": {"shape": (8, 8, 1), "kernel": (3, 3, 1, 2), "padding": ((-1, 0), (0, -2))},
    "spread kernel": {"shape": (9, 9, 2), "kernel": (3, 3, 2, 3), "padding": "SAME", "rhs_dilation": (2, 1)},
    "transposed": {"shape": (5, 4, 2), "kernel": (3, 3, 2, 3), "padding": ((1, 2), (2, 1)), "lhs_dilation": (2, 3)},
    "one axis": {"shape": (9, 2), "kernel": (3, 2, 3), "padding": "SAME", "window_strides": (2,)},
    "three axes": {"shape": (5, 4, 6, 2), "kernel": (3, 2, 3, 2, 3), "padding": "SAME", "window_strides": (1, 2, 2)},
    "channels first": {
        "shape": (3, 7, 6),
        "kernel": (4, 3, 3, 3),
        "padding": "SAME",
        "numbers": ("NCHW", "OIHW", "NCHW"),
    },
    "in groups": {"shape": (6, 6, 4), "kernel": (3, 3, 2, 4), "padding": "SAME", "feature_group_count": 2},
}


def score_of(shape, kernel, padding, window_strides=None, numbers=None, **settings):
    axes = "DHW"[-(len(shape) - 1) :]
    numbers = numbers or ("N" + axes + "C", axes + "IO", "N" + axes + "C")
    strides = window_strides or (1,) * len(axes)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=kernel))

    def f(weights, x):
        out = lax.conv_general_dilated(x[None], weights, strides, padding, dimension_numbers=numbers, **settings)
        return jnp.sum(jnp.tanh(out)) + jnp.sum(out**2)

    return f, weights, jnp.asarray(np.random.default_rng(2).normal(size=shape))


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_jax(x64, name):
    f, weights, x = score_of(**CASES[name])

    def both(rewrite):
        def value(weights, x):
            return rewrite(lambda x: f(weights, x))(x)

        def penalty(weights):
            return jnp.sum(jax.grad(value, argnums=1)(weights, x) ** 2)

        return value(weights, x), jax.grad(value, argnums=(0, 1))(weights, x), jax.grad(penalty)(weights)

    got, want = jax.jit(lambda: both(with_fast_gradients))(), jax.jit(lambda: both(lambda f: f))()
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float64, terms=1000, scale=float(jnp.abs(other).max())))


def test_every_ordinary_convolution_is_rewritten_and_no_other(x64):
    """The kernel is turned around by ``rev`` outside of the convolution, once per convolution that depends on x."""
    f, weights, x = score_of(**CASES["strided"])
    text = str(jax.make_jaxpr(jax.grad(with_fast_gradients(lambda x: f(weights, x))))(x))
    assert "custom_vjp" in str(jax.make_jaxpr(with_fast_gradients(lambda x: f(weights, x)))(x))
    assert "rev[" in text
    f, weights, x = score_of(**CASES["in groups"])
    assert "custom_vjp" not in str(jax.make_jaxpr(with_fast_gradients(lambda x: f(weights, x)))(x))


def test_max_pooling_is_rewritten_and_no_other_reduction():
    def f(x):
        pooled = lax.reduce_window(x, -jnp.inf, lax.max, (3, 3, 1), (2, 2, 1), "SAME")
        return jnp.sum(pooled**2) + jnp.sum(lax.reduce_window(x, 0.0, lax.add, (2, 2, 1), (2, 2, 1), "VALID"))

    x = jnp.asarray(images(1)[0])
    rewritten, plain = str(jax.make_jaxpr(jax.grad(with_fast_gradients(f)))(x)), str(jax.make_jaxpr(jax.grad(f))(x))
    assert "select_and_scatter_add" in plain and "select_and_scatter_add" not in rewritten
    np.testing.assert_allclose(jax.grad(with_fast_gradients(f))(x), jax.grad(f)(x), **tol(np.float32, terms=4, scale=8))


def test_batches_targets_and_weights():
    model, x = relu_network(), jnp.asarray(images(3))

    def maps(params, rewrite):
        f = rewrite(Score(Model(params, model.apply), Logits(jnp.array([0, 3]))))
        return jax.vmap(jax.jacrev(f))(x)

    got = jax.jit(lambda params: maps(params, with_fast_gradients))(model.params)
    want = jax.jit(lambda params: maps(params, lambda f: f))(model.params)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=100, scale=float(jnp.abs(want).max())))


def test_a_rule_comes_first_and_is_evaluated_in_fast_forms_as_what_is_left():
    @dataclass(frozen=True)
    class Doubled:
        def backward(self, call, cotangents):
            return tuple(2 * cotangent for cotangent in call.pull(cotangents))

    kernel = jax.random.normal(jax.random.key(0), (3, 3, 2, 2))

    def f(x):
        hidden = jax.lax.conv_general_dilated(
            x[None], kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        pooled = jax.lax.reduce_window(hidden, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return jnp.sum(pooled**2)

    x = jax.random.normal(jax.random.key(1), (8, 8, 2))
    for kind in ("conv", "max_pool"):
        rules = [(OfKind(kind), Doubled())]
        fast = rewrite(with_fast_gradients(f), rules)
        sites = {one.placed.block.kind for one in fast.placement(x).acting}
        assert sites == {kind} and len(fast_actions(trace(f, x), [one.placed for one in fast.placement(x).acting])) == 1
        text = str(jax.make_jaxpr(jax.grad(fast))(x))
        assert "rev[" in text and "select_and_scatter_add" not in text
        np.testing.assert_allclose(jax.grad(fast)(x), 2 * jax.grad(f)(x), **tol(np.float32, terms=64, scale=40))
