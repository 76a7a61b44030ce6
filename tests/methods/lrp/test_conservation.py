"""What each rule conserves, and the leak where it does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.graph.predicates import OfKind, ReadsInput
from jaxplain.methods import lrp
from jaxplain.methods.lrp import AlphaBeta, Epsilon, Flat, Gamma, Norm, WSquare, ZBox, ZPlus

DENSE = OfKind("dot")
RULES = {
    "epsilon": Epsilon(0.0),
    "norm": Norm(0.0),
    "gamma": Gamma(0.25, 0.0),
    "z-plus": ZPlus(epsilon=0.0),
    "alpha 2": AlphaBeta(2.0, epsilon=0.0),
    "flat": Flat(),
    "w-square": WSquare(),
    "z-box": ZBox(-9.0, 9.0, 0.0),
}


def random(*shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def first(rule):
    """The rule where it may stand: in all layers, or in the first, with LRP-0 behind."""
    return ((ReadsInput(), rule), (DENSE, Epsilon(0.0) if getattr(rule, "to_input", False) else rule))


def layers(x, bias):
    """Two dense layers; the bias stands in the first."""
    h = x @ random(6, 5, seed=1) + bias
    return jnp.tanh(h) @ random(5, seed=2)


@pytest.mark.parametrize("name", RULES)
def test_without_bias_all_relevance_arrives(x64, name):
    x = random(6, seed=3)
    relevance = lrp(lambda x: layers(x, jnp.zeros(5)), x, composite=first(RULES[name]))
    np.testing.assert_allclose(relevance.sum(), layers(x, jnp.zeros(5)), rtol=1e-10)


@pytest.mark.parametrize("name", ["norm", "flat", "w-square", "z-box"])
def test_rules_without_share_for_the_bias_conserve_beside_one(x64, name):
    x, bias = random(6, seed=3), random(5, seed=4)
    relevance = lrp(lambda x: layers(x, bias), x, composite=first(RULES[name]))
    np.testing.assert_allclose(relevance.sum(), layers(x, bias), rtol=1e-10)


def test_elsewhere_the_bias_takes_its_share(x64):
    """At one layer, of which each output has the relevance of its value."""
    x, w, b = random(6, seed=3), random(6, 5, seed=1), random(5, seed=4)
    q = x.reshape(6, 1) * w
    positive, negative = jnp.maximum(q, 0).sum(0), jnp.minimum(q, 0).sum(0)
    above, below = jnp.maximum(b, 0), jnp.minimum(b, 0)
    z = positive + negative + b
    favored = jnp.where(z >= 0, above, below)
    size = z + 0.25 * jnp.where(z >= 0, positive + above, negative + below)
    leaks = {
        "epsilon": b,
        "gamma": z * (b + 0.25 * favored) / size,
        "z-plus": z * above / (positive + above),
        "alpha 2": z * (2 * above / (positive + above) - below / (negative + below)),
    }
    for name, leak in leaks.items():
        relevance = lrp(lambda x: jnp.sum(x @ w + b), x, composite=((DENSE, RULES[name]),))
        np.testing.assert_allclose(relevance.sum() + leak.sum(), z.sum(), rtol=1e-10, err_msg=name)


def test_the_stabilizer_takes_its_share(x64):
    x, w = random(6, seed=3), random(6, 5, seed=1)
    z = x @ w
    relevance = lrp(lambda x: jnp.sum(x @ w), x, composite=((DENSE, Epsilon(0.5)),))
    np.testing.assert_allclose(relevance.sum(), jnp.sum(z * jnp.abs(z) / (jnp.abs(z) + 0.5)), rtol=1e-10)


@pytest.mark.parametrize("epsilon", [0.0, 1e-6])
def test_one_sided_contributions_leak_as_documented(x64, epsilon):
    """z-plus loses an output without positive contributions; alpha-beta gives alpha R or -beta R."""
    x, w = jnp.array([1.0, 2.0]), jnp.array([[1.0, -1.0], [0.5, -2.0]])
    weights = jnp.array([3.0, 7.0])  # z = (2, -5), relevance (6, -35)

    def total(rule):
        return float(
            lrp(lambda x: jnp.sin(x @ w) @ weights, x, composite=((ReadsInput(), rule),), unknown="gradient").sum()
        )

    slopes = jnp.cos(jnp.array([2.0, -5.0])) * weights * jnp.array([2.0, -5.0])
    np.testing.assert_allclose(total(ZPlus(epsilon=epsilon)), slopes[0], rtol=2e-6)
    np.testing.assert_allclose(total(AlphaBeta(2.0, epsilon=epsilon)), 2 * slopes[0] - slopes[1], rtol=2e-6)


def test_zero_outputs_and_dead_denominators_are_no_nan(x64):
    x, w = jnp.array([1.0, 1.0]), jnp.array([[1.0, 0.0], [-1.0, 0.0]])
    for rule in (*RULES.values(), Epsilon(), ZPlus(), AlphaBeta(), Gamma()):
        composite = ((ReadsInput(), rule),)
        relevance, gradient = jax.value_and_grad(
            lambda w, composite=composite: jnp.sum(lrp(lambda x: jnp.sum(x @ w + 0.0), x, composite=composite) ** 2)
        )(w)
        assert jnp.isfinite(relevance) and jnp.all(jnp.isfinite(gradient)), rule


@pytest.mark.parametrize("rule", [Norm(0.0), Epsilon(0.0)], ids=lambda rule: rule.name)
def test_sums_and_averages_conserve_under_every_rule_for_linear_blocks(x64, rule):
    """Norm leaves out the constant that is added; without one all are LRP-0."""
    x = random(6, 4, seed=3)

    def f(x):
        window = jax.lax.reduce_window(x + jnp.tanh(x), 0.0, jax.lax.add, (2, 2), (2, 2), "VALID") / 4.0
        return jnp.mean(window @ random(2, 3, seed=1), axis=0) @ random(3, seed=2)

    linear = (OfKind("sum", "avg_pool", "mean"), rule)
    got, want = lrp(f, x, composite=(linear, (DENSE, Epsilon(0.0)))), lrp(f, x, composite=((DENSE, Epsilon(0.0)),))
    np.testing.assert_allclose(got, want, rtol=1e-10)
    np.testing.assert_allclose(got.sum(), f(x), rtol=1e-10)
    shifted = lrp(lambda x: jnp.sum(x + 2.0), x, composite=((OfKind("add"), rule),))
    np.testing.assert_allclose(shifted.sum(), jnp.sum(x) + (0 if rule.name == "epsilon" else 2.0 * x.size), rtol=1e-10)
