"""Activations are found by what they compute, whatever they are called and however they are written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn

from jaxplain.graph.flow import steps
from jaxplain.graph.recognition.activations import recognize
from jaxplain.graph.trace import trace

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32))


def kinds(f, x=X):
    traced = trace(f, x)
    return [activation.kind for activation in recognize(traced, steps(traced)).values()]


FOUND = {
    "relu": ("relu", nn.relu),
    "maximum": ("relu", lambda x: jnp.maximum(x, 0)),
    "maximum of a float": ("relu", lambda x: jnp.maximum(0.0, x)),
    "lax.max": ("relu", lambda x: lax.max(x, jnp.zeros_like(x))),
    "where": ("relu", lambda x: jnp.where(x > 0, x, 0)),
    "where with zeros": ("relu", lambda x: jnp.where(x > 0, x, jnp.zeros_like(x))),
    "mask": ("relu", lambda x: x * (x > 0).astype(x.dtype)),
    "in a function of one's own": ("relu", jax.jit(lambda x: nn.relu(x))),
    "relu6": ("relu6", nn.relu6),
    "clip": ("relu6", lambda x: jnp.clip(x, 0, 6)),
    "leaky_relu": ("leaky_relu", nn.leaky_relu),
    "leaky, steeper": ("leaky_relu", lambda x: nn.leaky_relu(x, 0.3)),
    "leaky by max": ("leaky_relu", lambda x: jnp.maximum(x, 0.2 * x)),
    "elu": ("elu", nn.elu),
    "elu, scaled": ("elu", lambda x: nn.elu(x, 0.5)),
    "selu": ("selu", nn.selu),
    "silu": ("silu", nn.silu),
    "swish": ("silu", nn.swish),
    "silu written out": ("silu", lambda x: x / (1 + jnp.exp(-x))),
    "gelu": ("gelu", nn.gelu),
    "gelu exact": ("gelu", lambda x: nn.gelu(x, approximate=False)),
    "gelu by erf": ("gelu", lambda x: x * 0.5 * (1 + lax.erf(x / jnp.sqrt(2.0)))),
    "softplus": ("softplus", nn.softplus),
    "softplus written out": ("softplus", lambda x: jnp.log(1 + jnp.exp(x))),
    "tanh": ("tanh", jnp.tanh),
    "sigmoid": ("sigmoid", nn.sigmoid),
    "sigmoid written out": ("sigmoid", lambda x: 1 / (1 + jnp.exp(-x))),
    "hard_swish": ("hard_swish", nn.hard_swish),
    "hard_swish written out": ("hard_swish", lambda x: x * jnp.clip(x + 3, 0, 6) / 6),
    "mish": ("mish", nn.mish),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name):
    kind, f = FOUND[name]
    assert kinds(f) == [kind]
    assert kinds(lambda x: f(2 * x @ jnp.ones((3, 3))) + 1) == [kind]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("kind", ["relu", "silu", "gelu", "softplus", "tanh", "hard_swish", "leaky_relu"])
def test_found_in_half_precision(kind, dtype):
    assert kinds(getattr(nn, kind), X.astype(dtype)) == [kind]


@pytest.mark.parametrize("kind", ["relu", "silu", "gelu", "selu", "softplus"])
def test_found_in_float64(x64, kind):
    assert kinds(getattr(nn, kind), X.astype(jnp.float64)) == [kind]


NOT_FOUND = {
    "identity": lambda x: x + 0.0,
    "scale": lambda x: 2 * x,
    "square": lambda x: x**2,
    "absolute value": jnp.abs,
    "clipping to a range": lambda x: jnp.clip(x, -1, 20),
    "threshold elsewhere": lambda x: jnp.maximum(x, 0.5),
    "maximum of two": lambda x: jnp.maximum(x, x[::-1]),
    "maximum along an axis": lambda x: jnp.max(x, 0),
}


@pytest.mark.parametrize("name", NOT_FOUND)
def test_not_found(name):
    assert kinds(NOT_FOUND[name]) == []


def test_residual_sum_is_no_activation():
    """Of h + gelu(h) the second term alone is one."""
    traced = trace(lambda x: x + nn.gelu(x), X)
    (activation,) = recognize(traced, steps(traced)).values()
    assert activation.kind == "gelu"
    last = traced.program.equations[-1]
    assert last.primitive.name == "add" and len(traced.program.equations) - 1 not in activation.run.positions


def test_value_used_outside_keeps_a_run_apart():
    """The inner maximum of relu6 is used once more: it is a ReLU of its own, and the rest no activation."""

    def f(x):
        inner = jnp.maximum(x, 0)
        return jnp.minimum(inner, 6) + 3 * inner

    assert kinds(f) == ["relu"]


def test_clipping_far_away_is_a_relu_and_a_minimum():
    traced = trace(lambda x: lax.min(lax.max(x, 0.0), 20.0), X)
    (activation,) = recognize(traced, steps(traced)).values()
    assert activation.kind == "relu" and activation.run.positions == (0,)


def test_a_name_is_not_believed():
    @jax.jit
    def relu(x):
        return 3 * x

    @jax.jit
    def silu(x):
        return x @ jnp.ones((3, 3))

    assert kinds(relu) == [] and kinds(silu) == []


def test_learned_slope_is_known_by_name_alone():
    slope = jnp.full((3,), 0.1)
    assert kinds(lambda w: nn.leaky_relu(X * w, slope.reshape(1, 3)), jnp.ones((1, 3))) == ["leaky_relu"]


def test_found_in_every_body_under_jit():
    def f(x):
        x, _ = lax.scan(lambda h, _: (jnp.maximum(h, 0), None), x, None, length=2)
        x = lax.cond(x.sum() > 0, nn.silu, lambda h: jnp.where(h > 0, h, 0), x)
        return jax.checkpoint(lambda h: nn.tanh(nn.gelu(h)))(x)

    found = []
    jax.jit(lambda x: (found.extend(kinds(f, x)), x)[1])(X)
    jax.vmap(lambda x: (found.extend(kinds(f, x)), x)[1])(X)
    jax.grad(lambda x: (found.extend(kinds(f, x)), x.sum())[1])(X)
    assert sorted(found) == sorted(3 * ["relu", "relu", "silu", "gelu", "tanh"])


def test_trying_values_raises_no_alarm():
    """The grid holds points at which a function is not defined or overflows; a user's alarms are for his own values."""
    with jax.debug_nans(True), jax.debug_infs(True):
        assert kinds(lambda x: jnp.sqrt(jnp.log(jnp.exp(jnp.abs(x)))) + nn.softplus(x), jnp.ones(3)) == ["softplus"]


def test_keys_and_integers_are_no_obstacle():
    def f(x):
        noise = jax.random.normal(jax.random.key(0), x.shape)
        return nn.relu(x + noise) * jax.random.bernoulli(jax.random.key(1), 0.5, x.shape).astype(x.dtype)

    assert kinds(f) == ["relu"]
