"""Convolutions with what follows them: what belongs to a run, and the same values and derivatives.

No library computes such runs in one pass in float64, so the plain form of the call stands in for it here.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain.graph import fusion
from jaxplain.graph.flow import steps
from jaxplain.graph.predicates import OfKind
from jaxplain.graph.rewrite import rewrite, with_fast_gradients
from jaxplain.graph.speed import fast_actions
from jaxplain.graph.trace import trace
from jaxplain.testing import tol

LAST, FIRST = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")
SHAPES = {"conv1": (3, 3, 2, 4), "conv2": (1, 1, 4, 4), "down": (1, 1, 2, 4)}
SHAPES |= dict.fromkeys(("mean", "variance", "gain", "shift", "mean2", "gain2", "bias"), (4,))


@pytest.fixture(autouse=True)
def everywhere(monkeypatch, x64):
    """Let every convolution be one that is computed together with what follows."""
    monkeypatch.setattr(fusion, "fuses", lambda x, kernel, spec: True)


def parameters():
    rng = np.random.default_rng(3)
    params = {name: jnp.asarray(rng.normal(size=shape)) for name, shape in SHAPES.items()}
    return {**params, "variance": params["variance"] ** 2}


def conv(x, kernel, numbers=LAST, strides=(1, 1)):
    return lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=numbers)


def spread(vector):
    return vector.reshape(1, 1, 1, -1)


def normalized(p, x):
    return (x - spread(p["mean"])) * (lax.rsqrt(spread(p["variance"]) + 1e-2) * spread(p["gain"])) + spread(p["shift"])


def residual(p, x):
    """A block with a projection: the later one of two convolutions takes the addition."""
    hidden = jax.nn.relu(normalized(p, conv(x, p["conv1"], strides=(2, 2))))
    projected = conv(x, p["down"], strides=(2, 2)) * spread(p["gain2"])
    return jax.nn.relu(conv(hidden, p["conv2"]) + spread(p["bias"]) + projected)


def identity(p, x):
    hidden = jax.nn.relu(conv(x, p["conv1"]))
    return jax.nn.relu(hidden + (conv(hidden, p["conv2"]) / 2.0 - spread(p["mean2"])))


def channels_first(p, x):
    turned = jnp.transpose(x, (0, 3, 1, 2))
    kernel = jnp.transpose(p["conv1"], (3, 2, 0, 1))
    return jax.nn.relu(conv(turned, kernel, FIRST) + p["bias"].reshape(1, -1, 1, 1))


@jax.custom_jvp
def straight(x):
    return jnp.maximum(x, 0)


straight.defjvps(lambda g, ans, x: g)


def varying(p, x):
    """A factor of every position, and a shift of every position."""
    y = conv(x, p["conv1"])
    places = jnp.arange(float(y.size)).reshape(y.shape)
    return (y * jnp.cos(places)) * spread(p["gain"]) + conv(x, p["down"]) + jnp.sin(places)


CASES = {
    "normalization and ReLU": (lambda p, x: jax.nn.relu(normalized(p, conv(x, p["conv1"]))), ["sub mul add relu"]),
    "bias alone": (lambda p, x: jnp.tanh(conv(x, p["conv1"]) + spread(p["bias"])), ["add"]),
    "ReLU alone": (lambda p, x: jax.nn.relu(conv(x, p["conv1"])), ["relu"]),
    "ReLU written out": (lambda p, x: (y := conv(x, p["conv1"]) * 2.0, jnp.where(y > 0, y, 0.0))[1], ["mul relu"]),
    "maximum": (lambda p, x: jnp.maximum(conv(x, p["conv1"]) + spread(p["bias"]), 0.0), ["add"]),
    "a derivative of its author": (lambda p, x: straight(conv(x, p["conv1"]) - spread(p["bias"])), ["sub"]),
    "turned around": (lambda p, x: jax.nn.relu(spread(p["bias"]) - conv(x, p["conv1"])), ["sub relu"]),
    "negative": (lambda p, x: jax.nn.relu(-conv(x, p["conv1"]) / spread(p["gain"])), ["neg div relu"]),
    "divisor": (lambda p, x: 1.0 / (2.0 + jnp.abs(conv(x, p["conv1"]))), []),
    "a projection": (residual, ["sub mul add relu", "mul", "add + relu"]),
    "an identity": (identity, ["relu", "div sub + relu"]),
    "channels first": (channels_first, ["add relu"]),
    "varying over space": (varying, ["+"]),
    "two readers": (lambda p, x: (y := conv(x, p["conv1"]) * 2.0, jax.nn.relu(y) + y)[1], ["mul"]),
    "read twice": (lambda p, x: (y := conv(x, p["conv1"]), y + y)[1], []),
    "a factor of the example": (lambda p, x: conv(x, p["conv1"]) * x.mean(), []),
}


def found(f, x):
    """Return what follows in each run, in words, in the order of evaluation."""
    traced = trace(f, x)
    actions = fusion.fused_actions(traced, steps(traced))
    runs = [action.act.__self__ for _, action in sorted(actions.items(), key=lambda pair: pair[1].run.positions)]
    return [
        " ".join(
            [equation.primitive.name for equation in one.following]
            + ["+"] * (one.addend is not None)
            + ["relu"] * one.relu
        )
        for one in runs
    ]


@pytest.mark.parametrize("name", CASES)
def test_what_belongs_to_a_run(name):
    f, want = CASES[name]
    p, x = parameters(), jnp.ones((6, 5, 2))
    assert found(lambda x: f(p, x[None]), x) == want


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_are_those_of_jax(name):
    f, _ = CASES[name]
    p, x = parameters(), jnp.asarray(np.random.default_rng(1).normal(size=(6, 5, 2)))

    def both(rewrite):
        def value(p, x):
            return rewrite(lambda x: jnp.sum(jnp.tanh(f(p, x[None]))))(x)

        def penalty(p):
            return jnp.sum(jax.grad(value, argnums=1)(p, x) ** 2)

        batch = jnp.stack([x, -x])
        many = jax.vmap(jax.grad(value, argnums=1), (None, 0))(p, batch)
        return value(p, x), jax.grad(value, argnums=(0, 1))(p, x), jax.grad(penalty)(p), many

    got, want = jax.jit(lambda: both(with_fast_gradients))(), jax.jit(lambda: both(lambda f: f))()
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float64, terms=1000, scale=float(jnp.abs(other).max()) + 1e-3))


@pytest.mark.parametrize(("activation", "slope"), [(jax.nn.relu, 0.0), (lambda x: jnp.maximum(x, 0.0), 0.5)])
def test_the_derivative_at_zero_is_the_one_of_the_author(activation, slope):
    def f(x):
        return jnp.sum(activation(conv(x[None], jnp.ones((1, 1, 1, 1)))))

    np.testing.assert_array_equal(jax.grad(with_fast_gradients(f))(jnp.zeros((2, 2, 1))), np.full((2, 2, 1), slope))


def test_blocks_in_a_scan():
    p, x = parameters(), jnp.asarray(np.random.default_rng(1).normal(size=(6, 5, 4)))
    kernels = jnp.stack([p["conv2"], -p["conv2"], 2 * p["conv2"]])

    def f(x):
        def step(hidden, kernel):
            return jax.nn.relu(normalized(p, conv(hidden, kernel)) + hidden), None

        return jnp.sum(lax.scan(step, x[None], kernels)[0] ** 2)

    assert found(f, x) == ["sub mul add + relu"]
    want = jax.grad(f)(x)
    np.testing.assert_allclose(jax.grad(with_fast_gradients(f))(x), want, rtol=1e-12, atol=1e-12)


def test_a_block_with_a_rule_is_left_alone():
    @dataclass(frozen=True)
    class Doubled:
        def backward(self, call, cotangents):
            return tuple(2 * cotangent for cotangent in call.pull(cotangents))

    p, x = parameters(), jnp.asarray(np.random.default_rng(1).normal(size=(6, 5, 2)))

    def f(x):
        return jnp.sum(jnp.tanh(residual(p, x[None])))

    for kind, left in (
        ("relu", ["sub mul add", "add +", "mul"]),
        ("conv", []),
        ("sum", ["sub mul add relu", "add", "mul"]),
    ):
        rules = [(OfKind(kind), Doubled())]
        fast = rewrite(with_fast_gradients(f), rules)
        placed = [one.placed for one in fast.placement(x).acting]
        runs = [one for one in fast_actions(trace(f, x), placed).values() if hasattr(one, "run")]
        assert len(runs) == len(left)
        want = jax.grad(rewrite(f, rules))(x)
        np.testing.assert_allclose(jax.grad(fast)(x), want, rtol=1e-12, atol=1e-12 * float(jnp.abs(want).max()))
