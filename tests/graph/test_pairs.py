"""Functions of pairs: what a rule meets again of the reference, through calls, loops and branches."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain import InputError
from jaxplain.graph.contributions import contributions
from jaxplain.graph.pairs import rewrite_pair
from jaxplain.graph.predicates import OfKind
from jaxplain.testing import tol

X, REFERENCE = (np.random.default_rng(seed).normal(size=4).astype(np.float32) for seed in range(2))
W = np.random.default_rng(2).normal(size=(3, 4, 4)).astype(np.float32) / 2


@dataclass(frozen=True)
class Ends:
    """Return the reference's input as cotangent, so that a test sees what was recorded."""

    def record(self, call):
        return call.inputs

    def backward(self, call, cotangents):
        return call.recorded


RULES = ((OfKind("tanh"), Ends()),)


def pulled(f, x=X, reference=REFERENCE):
    return jax.grad(rewrite_pair(f, RULES, unknown="gradient"))(jnp.asarray(x), jnp.asarray(reference))


def test_rules_meet_the_reference():
    np.testing.assert_array_equal(pulled(lambda x: jnp.tanh(x).sum()), REFERENCE)
    np.testing.assert_allclose(pulled(lambda x: jnp.tanh(3 * x).sum()), 9 * REFERENCE, rtol=1e-6)
    assert rewrite_pair(lambda x: jnp.tanh(x).sum(), RULES, unknown="gradient")(X, REFERENCE) == jnp.tanh(X).sum()


def test_every_use_of_one_function_has_its_own_reference():
    act = jax.jit(jnp.tanh)
    found = pulled(lambda x: act(act(x)).sum())
    np.testing.assert_array_equal(found, REFERENCE)
    both = pulled(lambda x: act(x).sum() + act(2 * x).sum())
    np.testing.assert_allclose(both, 5 * REFERENCE, rtol=1e-6)


def layered(step):
    def f(x):
        return jnp.sum(step(x) ** 2)

    return f


def unrolled(x):
    for weights in W:
        x = jnp.tanh(x @ weights)
    return x


def scanned(x):
    return lax.scan(lambda h, weights: (jnp.tanh(h @ weights), None), x, jnp.asarray(W))[0]


def rematerialized(x):
    return jax.checkpoint(lambda h: jax.checkpoint(jnp.tanh)(jnp.tanh(h @ W[0]) @ W[1]))(x) @ W[2]


@pytest.mark.parametrize("step", [scanned, jax.checkpoint(unrolled), jax.jit(unrolled)], ids=["scan", "remat", "jit"])
def test_loops_and_calls_equal_the_plain_form(step):
    want = contributions(layered(unrolled), jnp.asarray(X), jnp.asarray(REFERENCE))
    got = contributions(layered(step), jnp.asarray(X), jnp.asarray(REFERENCE))
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=50, scale=float(np.abs(want).max())))
    change = layered(step)(X) - layered(step)(REFERENCE)
    np.testing.assert_allclose(got.sum(), change, **tol(np.float32, terms=50, scale=float(np.abs(want).max())))


def test_mapped_and_compiled_equal_the_loop():
    xs = np.random.default_rng(3).normal(size=(3, 4)).astype(np.float32)
    f = layered(rematerialized)
    loop = np.stack([contributions(f, jnp.asarray(x), jnp.asarray(REFERENCE)) for x in xs])
    limits = tol(np.float32, terms=50, scale=float(np.abs(loop).max()))
    mapped = jax.jit(jax.vmap(lambda x: contributions(f, x, jnp.asarray(REFERENCE))))(xs)
    np.testing.assert_allclose(mapped, loop, **limits)
    turned = jax.vmap(lambda reference: contributions(f, jnp.asarray(X), reference))(xs)
    want = np.stack([contributions(f, jnp.asarray(X), jnp.asarray(reference)) for reference in xs])
    np.testing.assert_allclose(turned, want, **limits)


def branching(x):
    return lax.cond(x[0] > 0, lambda x: jnp.sum(jnp.tanh(x) ** 2), lambda x: jnp.sum(jnp.exp(x)), x)


def test_one_branch_for_both_is_that_branch():
    x, reference = jnp.abs(jnp.asarray(X)), jnp.abs(jnp.asarray(REFERENCE))
    want = contributions(lambda x: jnp.sum(jnp.tanh(x) ** 2), x, reference)
    np.testing.assert_allclose(contributions(branching, x, reference), want, rtol=1e-6)


def test_different_branches_have_no_pair():
    x = jnp.abs(jnp.asarray(X))
    assert np.isnan(contributions(branching, x, -x)).all()


@pytest.mark.parametrize("other", [lambda x: 3 * x[0], lambda x: x[1]], ids=["linear", "nothing to compute"])
def test_different_linear_branches_have_no_pair_either(other):
    x = jnp.array([1.0, 2.0])
    f = lambda x: lax.cond(x[0] > 0, lambda x: 2.0 * x[0], other, x)  # noqa: E731
    assert np.isnan(contributions(f, x, -x)).any()


@pytest.mark.parametrize("reference", [np.zeros(3, np.float32), np.zeros(4, np.float16)], ids=["shape", "dtype"])
def test_a_reference_of_another_kind_is_refused(reference):
    with pytest.raises(InputError, match=r"the example is float32\[4\] and the reference float(32\[3\]|16\[4\])"):
        pulled(lambda x: jnp.tanh(x).sum(), X, reference)


def test_mapped_examples_each_take_their_own_branch():
    """Under vmap a conditional evaluates all branches; what was recorded in none of them does not reach the map."""

    def f(x):
        return lax.cond(x[0] > 0, lambda x: jnp.tanh(x).sum(), lambda x: (x / (1 + jnp.exp(x))).sum(), x)

    xs = jnp.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0], [-2.0, 1.0]])
    references = 0.5 * xs
    got = jax.jit(jax.vmap(lambda x, r: contributions(f, x, r)))(xs, references)
    want = jnp.stack([contributions(f, x, r) for x, r in zip(xs, references, strict=True)])
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=8, scale=2))
    assert np.isfinite(got).all()
