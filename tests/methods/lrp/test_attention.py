"""The rules of AttnLRP: against relevance that is propagated by hand, step by step, and what they conserve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import nn

from jaxplain.graph.predicates import OfKind
from jaxplain.methods import lrp
from jaxplain.methods.lrp import Epsilon
from jaxplain.testing import tol

TOKENS, WIDTH = 5, 4
LRP_0 = ((OfKind("conv", "dot"), Epsilon(0.0)),)


def random(*shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape)) / np.sqrt(WIDTH)


X = np.random.default_rng(9).normal(size=(TOKENS, WIDTH))


def weights():
    names = ("query", "key", "value", "out", "expand", "reduce")
    return {name: random(WIDTH, WIDTH, seed=k) for k, name in enumerate(names)}


def rms_norm(x):
    return x / jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True))


def layer_norm(x):
    centered = x - jnp.mean(x, axis=-1, keepdims=True)
    return centered / jnp.sqrt(jnp.mean(centered**2, axis=-1, keepdims=True) + 1e-6)


def network(x, attend, norm):
    """A block of a transformer without any bias; the score weighs all its outputs."""
    w = weights()
    h = norm(x)
    mixed = attend((h @ w["query"]) @ (h @ w["key"]).T) @ (h @ w["value"])
    x = x + mixed @ w["out"]
    x = x + nn.gelu(norm(x) @ w["expand"]) @ w["reduce"]
    return jnp.sum(x * random(TOKENS, WIDTH, seed=7))


@pytest.mark.parametrize(("attend", "norm"), [(nn.silu, rms_norm), (jnp.square, layer_norm)], ids=["rms", "layer"])
def test_without_softmax_everything_is_conserved(x64, attend, norm):
    x = jnp.asarray(X)
    score, relevance = jax.jit(
        lambda x: (network(x, attend, norm), lrp(lambda x: network(x, attend, norm), x, composite=LRP_0))
    )(x)
    np.testing.assert_allclose(relevance.sum(), score, rtol=1e-10)
    assert jnp.abs(relevance - x * jax.grad(network)(x, attend, norm)).max() > 1e-3


def by_hand(x):
    """Relevance of the score by divisions at every step, and what the softmax does not pass on."""
    w = {name: np.asarray(matrix) for name, matrix in weights().items()}
    c = np.asarray(random(TOKENS, WIDTH, seed=7))
    query, key, value = x @ w["query"], x @ w["key"], x @ w["value"]
    logits = query @ key.T
    s = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    out = s @ value

    def through(inputs, matrix, relevance):
        """The epsilon rule of a dense layer without bias, per token."""
        share = relevance / (inputs @ matrix)
        return inputs * (share @ matrix.T)

    def product(a, b, relevance):
        """Half of a product's relevance for each factor."""
        share = relevance / (2 * (a @ b))
        return a * (share @ b.T), b * (a.T @ share)

    relevance = np.asarray((x + out @ w["out"]) * c)
    of_shortcut, of_mixed = x * c, (out @ w["out"]) * c
    np.testing.assert_allclose(of_shortcut + of_mixed, relevance)
    of_softmax, of_value = product(s, value, through(out, w["out"], of_mixed))
    of_logits = logits * (of_softmax - s * of_softmax.sum(-1, keepdims=True))
    of_query, of_key = product(query, key.T, of_logits)
    total = of_shortcut + through(x, w["value"], of_value)
    total += through(x, w["query"], of_query) + through(x, w["key"], of_key.T)
    return total, of_softmax.sum() - of_logits.sum()


def attention(x):
    w = weights()
    s = nn.softmax((x @ w["query"]) @ (x @ w["key"]).T)
    return jnp.sum((x + s @ (x @ w["value"]) @ w["out"]) * random(TOKENS, WIDTH, seed=7))


def test_attention_equals_relevance_by_hand_and_loses_what_the_softmax_keeps(x64):
    want, kept = by_hand(X)
    got = lrp(attention, jnp.asarray(X), composite=LRP_0)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got.sum() + kept, attention(jnp.asarray(X)), rtol=1e-9)
    assert abs(kept) > 1e-3
    stabilized = lrp(attention, jnp.asarray(X), composite="attn_lrp")
    np.testing.assert_allclose(stabilized, want, rtol=1e-3, atol=1e-4)


def test_a_masked_entry_receives_nothing(x64):
    mask = jnp.tril(jnp.ones((TOKENS, TOKENS), bool))
    w = weights()

    def f(x):
        logits = jnp.where(mask, (x @ w["query"]) @ (x @ w["key"]).T, -jnp.inf)
        return jnp.sum((nn.softmax(logits) @ (x @ w["value"]))[1])

    relevance = lrp(f, jnp.asarray(X), composite="attn_lrp")
    assert jnp.all(relevance[2:] == 0) and jnp.all(jnp.isfinite(relevance)) and jnp.all(relevance[:2] != 0)


def test_normalization_counts_its_scale_as_constant(x64):
    x, c = jnp.asarray(X), random(TOKENS, WIDTH, seed=7)
    scale = jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True))
    got = lrp(lambda x: jnp.sum(rms_norm(x) * c), x, composite="epsilon")
    np.testing.assert_allclose(got, x / scale * c, rtol=1e-12)  # the identity rule
    centered = x - jnp.mean(x, axis=-1, keepdims=True)
    scale = jnp.sqrt(jnp.mean(centered**2, axis=-1, keepdims=True) + 1e-6)
    got = lrp(lambda x: jnp.sum(layer_norm(x) * c), x, composite="epsilon")
    np.testing.assert_allclose(got, x * (c / scale - jnp.mean(c / scale, -1, keepdims=True)), rtol=1e-10)


def test_a_bias_behind_a_normalization_takes_its_share(x64):
    x, c, b = jnp.asarray(X), random(TOKENS, WIDTH, seed=7), random(TOKENS, WIDTH, seed=8)
    f = lambda x: jnp.sum((layer_norm(x) + b) * c)  # noqa: E731
    np.testing.assert_allclose(
        lrp(f, x, composite="epsilon").sum(), f(x) - jnp.sum(b * c), **tol(np.float64, terms=100)
    )
