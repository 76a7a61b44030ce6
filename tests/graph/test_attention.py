"""Attention is found wherever a softmax is contracted over its keys, and its matrices are read in order."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from jaxplain._errors import InputError
from jaxplain.graph.attention import attention_gradients, attention_matrices, attentions
from jaxplain.graph.trace import trace
from jaxplain.testing import tol

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(5, 8)).astype(np.float32))
KERNELS = jnp.asarray(RNG.normal(size=(3, 8, 2, 4)).astype(np.float32) / 2)
OUT = jnp.asarray(RNG.normal(size=(2, 4, 8)).astype(np.float32) / 3)


def logits(x):
    query, key = jnp.einsum("nc,pchd->phnd", x, KERNELS[:2])
    return jnp.einsum("hqd,hkd->hqk", query, key) / 2


def values(x):
    return jnp.einsum("nc,chd->hnd", x, KERNELS[2])


def softmax_by_hand(x):
    powers = jnp.exp(x)
    return powers / powers.sum(-1, keepdims=True)


def by_hand(x, softmax=jax.nn.softmax):
    return jnp.einsum("hqd,hdc->qc", jnp.einsum("hqk,hkd->hqd", softmax(logits(x)), values(x)), OUT)


def mapped_over_heads(x):
    def head(kernels):
        query, key, value = jnp.einsum("nc,pcd->pnd", x, kernels)
        return jax.nn.softmax(query @ key.T / 2) @ value

    return jnp.einsum("hqd,hdc->qc", jax.vmap(head, 2)(KERNELS), OUT)


def keys_first(x):
    attention = jax.nn.softmax(jnp.swapaxes(logits(x), 1, 2), axis=1)
    return jnp.einsum("hkq,hkd,hdc->qc", attention, values(x), OUT)


def out_of_the_heads(x):
    """Values are projected first, so that heads and keys are contracted together."""
    return jnp.einsum("hqk,hkc->qc", jax.nn.softmax(logits(x)), jnp.einsum("hkd,hdc->hkc", values(x), OUT))


def with_dropout(x):
    attention = jax.nn.softmax(logits(x)).astype(jnp.float32)
    kept = jax.random.bernoulli(jax.random.key(0), 1.0, attention.shape)
    attention = jnp.where(kept, attention / jnp.float32(1.0), 0)
    return jnp.einsum("hqd,hdc->qc", jnp.einsum("hqk,hkd->hqd", attention, values(x)), OUT)


def in_calls(x):
    attention = jax.jit(lambda x: jax.nn.softmax(logits(x)))(x)
    mixed = jax.jit(lambda attention, x: jnp.einsum("hqk,hkd->hqd", attention, values(x)))(attention, x)
    return jnp.einsum("hqd,hdc->qc", mixed, OUT)


def named(x):
    @jax.jit
    def softmax(x):
        return softmax_by_hand(x)

    return by_hand(x, softmax)


def linen(x):
    module = nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=8, use_bias=False)
    names = ("query", "key", "value")
    params = {name: {"kernel": kernel} for name, kernel in zip(names, KERNELS, strict=True)}
    return module.apply({"params": {**params, "out": {"kernel": OUT}}}, x[None])[0]


def of_nnx(x):
    module = nnx.MultiHeadAttention(2, 8, 8, use_bias=False, decode=False, rngs=nnx.Rngs(0))
    for part, kernel in zip((module.query, module.key, module.value, module.out), (*KERNELS, OUT), strict=True):
        part.kernel[...] = kernel
    return module(x[None])[0]


WRITTEN = {
    "by hand": by_hand,
    "softmax by hand": lambda x: by_hand(x, softmax_by_hand),
    "softmax called": named,
    "mapped over heads": mapped_over_heads,
    "keys first": keys_first,
    "heads and keys together": out_of_the_heads,
    "with dropout": with_dropout,
    "in calls": in_calls,
    "remat": jax.checkpoint(by_hand),
    "jax.nn": lambda x: jnp.einsum(
        "nhd,hdc->nc", jax.nn.dot_product_attention(*jnp.einsum("nc,pchd->pnhd", x, KERNELS)), OUT
    ),
    "linen": linen,
    "nnx": of_nnx,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_matrices_and_gradients_are_those_of_the_formula(name):
    """The score is linear in the attention: w_qc P_hqk v_hkd o_hdc, so its gradient is known."""
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32))

    def score(x):
        return jnp.einsum("tqc,qc->t", weights, WRITTEN[name](x))

    np.testing.assert_allclose(WRITTEN[name](X), by_hand(X), **tol(np.float32, terms=64, scale=4.0))
    value, (matrix,), (gradient,) = attention_gradients("test", score, X)
    np.testing.assert_allclose(value, score(X), **tol(np.float32, terms=64, scale=4.0))
    np.testing.assert_allclose(matrix, jax.nn.softmax(logits(X)), **tol(np.float32, terms=64))
    want = jnp.einsum("tqc,hkd,hdc->thqk", weights, values(X), OUT)
    np.testing.assert_allclose(gradient, want, **tol(np.float32, terms=64, scale=4.0))
    _, (same,) = attention_matrices("test", score, X)
    np.testing.assert_array_equal(same, matrix)


NONE = {
    "probabilities of classes": lambda x: jax.nn.softmax(x.sum(0)),
    "a softmax of queries, not of keys": lambda x: jax.nn.softmax(logits(x), axis=1) @ values(x),
    "a mixture of fixed vectors": lambda x: jax.nn.softmax(x) @ jnp.ones((8, 3)),
    "a gate": lambda x: jax.nn.softmax(x) * x,
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_attention(name):
    assert list(attentions(trace(NONE[name], X))) == []
    with pytest.raises(InputError, match=r"test: the network has no attention.*softmax.*choose"):
        attention_matrices("test", NONE[name], X)


def layer(tokens, weight):
    attention = jax.nn.softmax(weight * (tokens @ tokens.T))
    return tokens + attention @ tokens


def test_a_scan_has_one_matrix_for_each_step():
    """Loops and both directions of a scan agree; two attentions in one step alternate."""
    weights = jnp.array([0.3, -0.2, 0.5])

    def two(tokens, weight):
        return layer(layer(tokens, weight), -2 * weight)

    def unrolled(x, order):
        for weight in order:
            x = two(x, weight)
        return x.sum()

    for reverse, order in ((False, weights), (True, weights[::-1])):
        _, want = attention_matrices("test", lambda x, order=order: unrolled(x, order), X)
        _, got = attention_matrices(
            "test", lambda x, r=reverse: lax.scan(lambda h, w: (two(h, w), None), x, weights, reverse=r)[0].sum(), X
        )
        np.testing.assert_allclose(np.stack(got), np.stack(want), **tol(np.float32, terms=64))
        assert len(got) == 6


def test_nested_scans_and_remat_and_branches():
    weights = jnp.array([[0.3, -0.2], [0.5, 0.1]])

    def inner(x, row):
        return lax.scan(lambda h, w: (jax.checkpoint(layer)(h, w), None), x, row)[0]

    def nested(x):
        x = lax.scan(lambda h, row: (inner(h, row), None), x, weights)[0]
        return lax.cond(x.sum() > -jnp.inf, lambda h: layer(h, 0.4), lambda h: h, x).sum()

    def flat(x):
        for weight in (*weights.ravel(), 0.4):
            x = layer(x, weight)
        return x.sum()

    for got, want in zip(attention_gradients("t", nested, X)[1:], attention_gradients("t", flat, X)[1:], strict=True):
        scale = float(np.abs(np.stack(want)).max())
        np.testing.assert_allclose(np.stack(got), np.stack(want), **tol(np.float32, terms=512, scale=scale))


def test_in_a_branch_that_is_not_taken_attention_is_zero():
    _, (matrix,) = attention_matrices(
        "t", lambda x: lax.cond(x.sum() > 1e9, lambda h: layer(h, 0.4), lambda h: h, x), X
    )
    assert not matrix.any()


REFUSED = {
    "cross attention": (lambda x: jax.nn.softmax(x[:2] @ x.T) @ x, r"[(]2, 5[)].*cross attention"),
    "windows": (
        lambda x: (lambda w: jax.nn.softmax(jnp.einsum("whqd,whkd->whqk", w, w)) @ w)(X.sum() * x.reshape(5, 2, 2, 2)),
        r"the axes [(]5, 2[)].*windows",
    ),
    "merged tokens": (lambda x: layer(layer(x, 0.1)[:3], 0.1), r"\[[(]3, 3[)], [(]5, 5[)]\]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    f, words = REFUSED[name]
    with pytest.raises(InputError, match=re.compile(words, re.DOTALL)):
        attention_matrices("test", f, X)


def test_heads_that_share_keys_and_values_are_one_axis():
    """Grouped queries: two heads of keys, each with three of queries."""
    queries = jnp.asarray(RNG.normal(size=(8, 2, 3, 4)).astype(np.float32) / 3)

    def f(x):
        key, value = jnp.einsum("nc,pchd->phnd", x, KERNELS[:2])
        attention = jax.nn.softmax(jnp.einsum("nc,chgd,hkd->hgnk", x, queries, key))
        return jnp.einsum("hgqk,hkd->hgqd", attention, value)

    _, (matrix,) = attention_matrices("test", f, X)
    assert matrix.shape == (6, 5, 5)
    np.testing.assert_allclose(matrix.sum(-1), 1, **tol(np.float32, terms=5))
