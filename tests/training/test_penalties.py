"""Penalties of input gradients: closed form, finite differences, transformations, Linen and NNX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jaxplain
from jaxplain.testing import relu_network, smooth_network, tol
from jaxplain.testing.networks import CLASSES, SHAPE, images
from jaxplain.training import input_gradient_penalty, right_for_the_right_reasons


def linear(weights, batch):
    return batch @ weights


def penalty_of(params, apply, x, forbidden):
    return right_for_the_right_reasons(
        jaxplain.Score(jaxplain.Model(params, apply), jaxplain.Output()), x, forbidden=forbidden
    )


def test_closed_form_of_a_linear_softmax_model(x64):
    """d/dx sum_k log p_k = sum_k w_k - K sum_k p_k w_k; its derivative in the weights by hand as well."""
    rng = np.random.default_rng(0)
    w, x, mask = rng.normal(size=(6, 4)), rng.normal(size=6), rng.uniform(size=6)
    p = np.exp(x @ w) / np.exp(x @ w).sum()
    own = mask * (w.sum(axis=1) - 4 * w @ p)
    got, gradient = jax.value_and_grad(penalty_of)(jnp.asarray(w), linear, jnp.asarray(x), jnp.asarray(mask))
    np.testing.assert_allclose(got, own @ own, **tol(np.float64, terms=24))
    # dg_q/dw_pk = [p = q] (1 - 4 p_k) - 4 x_p p_k (w_qk - (w p)_q), g being d/dx of the sum of log-probabilities.
    through_p = -4 * x[:, None] * (p * ((mask * own) @ (w - (w @ p)[:, None])))[None]
    want = 2 * ((mask * own)[:, None] * (1 - 4 * p)[None] + through_p)
    np.testing.assert_allclose(gradient, want, **tol(np.float64, terms=24, scale=np.abs(want).max()))


@pytest.mark.parametrize("network", [smooth_network, relu_network], ids=["smooth", "relu"])
def test_weights_receive_the_true_gradient(x64, network):
    """Central differences along random directions: error O(h^2) beside rounding eps/h, h = 1e-5."""
    rng, h = np.random.default_rng(1), 1e-5
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), network())
    x, mask = jnp.asarray(images(1)[0], jnp.float64), jnp.asarray(rng.integers(0, 2, SHAPE), jnp.float64)
    penalty = jax.jit(lambda params: penalty_of(params, model.apply, x, mask))
    gradient = jax.jit(jax.grad(penalty))(model.params)
    for _ in range(3):
        direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), model.params)
        plus, minus = (
            jax.tree.map(lambda leaf, step, by=by: leaf + by * step, model.params, direction) for by in (h, -h)
        )
        want = (penalty(plus) - penalty(minus)) / (2 * h)
        products = jax.tree.map(lambda a, b: jnp.sum(a * b), gradient, direction)
        np.testing.assert_allclose(sum(jax.tree.leaves(products)), want, rtol=1e-6)


def test_jit_vmap_and_eager_agree_and_labels_of_masks_are_data():
    model, batch = smooth_network(), jnp.asarray(images(3))
    masks = jnp.asarray(np.random.default_rng(2).integers(0, 2, (3, *SHAPE)), jnp.float32)
    one = lambda x, mask: penalty_of(model.params, model.apply, x, mask)  # noqa: E731
    loop = np.array([one(x, mask) for x, mask in zip(batch, masks, strict=True)])
    mapped = jax.jit(jax.vmap(one))(batch, masks)
    np.testing.assert_allclose(mapped, loop, **tol(np.float32, terms=240, safety=32))
    assert loop.min() > 0 and float(one(batch[0], jnp.zeros(SHAPE))) == 0


def test_the_general_penalty_sums_over_scores_and_shares_masks_along_axes():
    f = jaxplain.Score(smooth_network(), jaxplain.Logits(jnp.array([0, 3])))
    x = jnp.asarray(images(1)[0])
    pixel = jnp.asarray(np.random.default_rng(3).uniform(size=(*SHAPE[:2], 1)), jnp.float32)
    gradient = np.asarray(jax.jacrev(f)(x))
    want = np.sum((np.asarray(pixel)[None] * gradient) ** 2)
    np.testing.assert_allclose(input_gradient_penalty(f, x, forbidden=pixel), want, **tol(np.float32, terms=480))
    booleans = input_gradient_penalty(f, x, forbidden=pixel > 0.5)
    want = np.sum(((np.asarray(pixel) > 0.5)[None] * gradient) ** 2)
    np.testing.assert_allclose(booleans, want, **tol(np.float32, terms=480))


def test_log_probabilities_serve_as_logits():
    model, x = smooth_network(), jnp.asarray(images(1)[0])
    logits = jaxplain.Score(model, jaxplain.Output())
    one = right_for_the_right_reasons(logits, x, forbidden=jnp.ones(SHAPE))
    other = right_for_the_right_reasons(lambda x: jax.nn.log_softmax(logits(x)), x, forbidden=jnp.ones(SHAPE))
    np.testing.assert_allclose(one, other, **tol(np.float32, terms=240, safety=64))


def test_half_precision_is_summed_in_float32():
    """1,000 squares of 1/8 are 15.625; summed in bfloat16 they would stop growing at 4."""
    f = lambda x: jnp.sum(x) / jnp.bfloat16(8)  # noqa: E731
    got = input_gradient_penalty(f, jnp.ones(1000, jnp.bfloat16), forbidden=jnp.ones(1000))
    assert got.dtype == jnp.float32 and float(got) == 15.625


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(CLASSES)(nn.relu(nn.Dense(8)(x.reshape(x.shape[0], -1))))


class NNX(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.head = nnx.Linear(18, 8, rngs=rngs), nnx.Linear(8, CLASSES, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.hidden(x.reshape(x.shape[0], -1))))


@pytest.mark.parametrize("framework", ["linen", "nnx"])
def test_a_step_against_the_penalty_lowers_it(framework):
    """The gradient reaches the weights of both frameworks, in one program and in the state's own structure."""
    x = jnp.asarray(np.random.default_rng(4).normal(size=(5, 3, 3, 2)), jnp.float32)
    if framework == "linen":
        module = Linen()
        start = module.init(jax.random.key(0), x)
        wrap = lambda state: jaxplain.from_linen(module, state)  # noqa: E731
    else:
        graph, start = nnx.split(NNX(nnx.Rngs(0)))
        wrap = lambda state: jaxplain.from_nnx(nnx.merge(graph, state))  # noqa: E731

    def penalty(state):
        logits = jaxplain.Score(wrap(state), jaxplain.Output())
        one = lambda x: right_for_the_right_reasons(logits, x, forbidden=jnp.ones((3, 3, 2)))  # noqa: E731
        return jnp.mean(jax.vmap(one)(x))

    traced = []

    @jax.jit
    def step(state):
        traced.append(state)
        value, gradient = jax.value_and_grad(penalty)(state)
        return value, jax.tree.map(lambda leaf, slope: leaf - 1e-3 * slope, state, gradient)

    values = []
    for _ in range(10):
        value, start = step(start)
        values.append(float(value))
    assert np.all(np.diff(values) < 0) and len(traced) == 1


def test_what_does_not_fit_is_refused():
    x = jnp.ones((4, 4, 3))
    with pytest.raises(jaxplain.InputError, match=r"mask of shape \(4, 4\)"):
        input_gradient_penalty(jnp.sum, x, forbidden=jnp.ones((4, 4)))
    with pytest.raises(jaxplain.InputError, match=r"mask of shape \(4, 2, 3\)"):
        input_gradient_penalty(jnp.sum, x, forbidden=jnp.ones((4, 2, 3)))
    with pytest.raises(jaxplain.InputError, match=r"Score\(model, Output\(\)\)"):
        right_for_the_right_reasons(jnp.sum, x, forbidden=x)
