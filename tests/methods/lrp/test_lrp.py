"""The method: equal to input times gradient where it must be, transformations, gradients of maps, activations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import nn

from jaxplain import Logit, Logits, Model, Score
from jaxplain.graph.predicates import OfKind
from jaxplain.graph.rewrite import rewrite
from jaxplain.methods import input_x_gradient, lrp
from jaxplain.methods.lrp import Epsilon, Gamma, Pass, ZPlus
from jaxplain.testing import relu_network, smooth_network, tol
from jaxplain.testing.networks import images

LRP_0 = ((OfKind("conv", "dot"), Epsilon(0.0)),)


def in_float64(model):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model)


def random(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.slow
def test_without_a_stabilizer_it_is_input_times_gradient_on_relu_networks(x64):
    f, x = Score(in_float64(relu_network()), Logits(jnp.array([1, 3]))), jnp.asarray(images(1)[0], jnp.float64)
    want = input_x_gradient(f, x)
    np.testing.assert_allclose(lrp(f, x, composite=LRP_0), want, rtol=1e-10, atol=1e-12)
    errors = [
        float(jnp.abs(lrp(f, x, composite=((OfKind("conv", "dot"), Epsilon(e)),)) - want).max()) for e in (1e-4, 1e-6)
    ]
    assert 50 < errors[0] / errors[1] < 200  # of first order in the stabilizer


@pytest.mark.parametrize("composite", ["epsilon_gamma_box", "epsilon_alpha2_beta1_flat"])
def test_a_batch_under_jit_and_vmap_equals_a_loop_and_scores_share_a_pass(composite):
    model, batch = relu_network(), jnp.asarray(images(2))
    keywords = {"composite": composite, "low": -4.0, "high": jnp.full(batch[0].shape, 4.0)}
    several, one = Score(model, Logits(jnp.array([1, 3]))), Score(model, Logit(3))
    mapped = jax.jit(jax.vmap(lambda x: lrp(several, x, **keywords)))(batch)
    loop = jnp.stack([lrp(one, x, **keywords) for x in batch])
    np.testing.assert_allclose(mapped[:, 1], loop, **tol(np.float32, terms=100, scale=float(jnp.abs(loop).max())))


@pytest.mark.parametrize("rule", [Epsilon(1e-2), ZPlus(), Gamma(0.5)], ids=lambda rule: rule.name)
def test_a_map_has_the_gradient_of_finite_differences_with_respect_to_weights(x64, rule):
    model, batch = in_float64(smooth_network()), jnp.asarray(images(2), jnp.float64)
    weights = random(batch.shape, 1)
    composite = ((OfKind("conv", "dot"), rule),)

    @jax.jit
    def loss(params):
        f = Score(Model(params, model.apply), Logit(1))
        return jnp.sum(weights * jax.vmap(lambda x: lrp(f, x, composite=composite))(batch))

    step = jax.tree.map(lambda leaf: random(leaf.shape, leaf.ndim), model.params)
    slope = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, jax.grad(loss)(model.params), step)))

    def difference(h):
        return (loss(jax.tree.map(lambda p, s: p + h * s, model.params, step)) - loss(model.params)) / h

    # Richardson's extrapolation cancels the first-order error of one-sided differences.
    got = 2 * difference(5e-8) - difference(1e-7)
    np.testing.assert_allclose(got, slope, rtol=1e-5)


def test_the_knobs_of_a_rule_may_be_traced(x64):
    f, x = Score(in_float64(relu_network()), Logit(1)), jnp.asarray(images(1)[0], jnp.float64)
    traces = []

    @jax.jit
    def explained(gamma):
        traces.append(None)
        return lrp(f, x, composite=((OfKind("conv"), Gamma(gamma)),))

    for gamma in (0.0, 0.3):
        want = lrp(f, x, composite=((OfKind("conv"), Gamma(gamma)),))
        np.testing.assert_allclose(explained(jnp.asarray(gamma)), want, rtol=1e-9, atol=1e-12)
    assert len(traces) == 1


ACTIVATIONS = {
    "gelu": nn.gelu,
    "silu": nn.silu,
    "tanh": jnp.tanh,
    "elu": nn.elu,
    "relu6": nn.relu6,
    "mish": nn.mish,
    "sigmoid": nn.sigmoid,
    "softplus": nn.softplus,
    "selu": nn.selu,
    "soft_sign": nn.soft_sign,
    "leaky_relu": nn.leaky_relu,
    "clip": lambda x: jnp.clip(x, -1, 2),
    "maximum with a constant": lambda x: jnp.maximum(x, -2.0),
    "square": lambda x: x * x,
    "power": lambda x: x**3,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_pass_relevance_on(x64, name):
    activation, weights = ACTIVATIONS[name], random((6,), 3)
    x = jnp.array([-3.0, -1e-3, -1e-12, 1e-12, 0.5, 40.0])
    got = lrp(lambda x: activation(x) @ weights, x, composite="captum")
    # The stabilizer of the product takes its share.
    total = activation(x) @ weights
    np.testing.assert_allclose(got, activation(x) * weights * total / (total + 1e-9 * jnp.sign(total)), rtol=1e-9)


@pytest.mark.parametrize("name", ["gelu", "silu", "tanh", "sigmoid", "softplus"])
def test_the_factor_of_an_activation_is_finite_and_smooth_at_zero(x64, name):
    activation = ACTIVATIONS[name]
    factor = jax.grad(rewrite(lambda h: jnp.sum(activation(h)), ((OfKind(name), Pass()),)))
    slope = jax.grad(lambda h: factor(h[None])[0])
    for x in (0.0, 1e-300, -1e-300, 1e-160, 2.0):
        assert jnp.isfinite(factor(jnp.array([x]))) and jnp.isfinite(slope(jnp.asarray(x)))
    origin = jnp.zeros(())
    if activation(origin) == 0:
        assert factor(origin[None])[0] == jax.grad(activation)(origin)
        np.testing.assert_allclose(slope(origin), slope(jnp.asarray(1e-4)), atol=1e-3)
    else:
        assert factor(origin[None])[0] == 0


def test_of_two_values_the_larger_receives_all(x64):
    x = jnp.array([3.0, -2.0, 5.0, -1.0])
    got = lrp(lambda x: jnp.sum(jnp.maximum(jnp.tanh(x[:2]), jnp.tanh(x[2:]))), x, composite="epsilon")
    np.testing.assert_allclose(got, [0, 0, np.tanh(5), np.tanh(-1)], rtol=1e-12)


def test_relu_at_zero_keeps_its_derivative():
    """Zero for ``jax.nn.relu``, one half for the maximum, whatever comes behind."""
    x, w = jnp.array([1.0, 1.0]), jnp.array([[1.0], [-1.0]])
    for relu, at_zero in ((nn.relu, 0.0), (lambda h: jnp.maximum(h, 0), 0.5)):
        got = lrp(lambda x, relu=relu: jnp.sum(relu(x @ w) * 3.0), x, composite=((OfKind("relu"), Pass()),))
        np.testing.assert_allclose(got, 3 * at_zero * x * w[:, 0], rtol=1e-6)


def test_a_sum_with_an_activation_of_its_own_term_is_no_activation(x64):
    """Of ``h + gelu(h)`` both terms receive their share, in proportion, which is what the sum has in all."""
    x, weights = random((4,), 1), random((4,), 2)

    def f(x):
        h = x * weights
        return jnp.sum(h + nn.gelu(h))

    h = x * weights
    np.testing.assert_allclose(lrp(f, x, composite="epsilon"), h + nn.gelu(h), rtol=1e-10)
