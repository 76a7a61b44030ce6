"""Guided backpropagation, the deconvnet and guided Grad-CAM beyond their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name
from jax.test_util import check_grads

import jaxplain
from jaxplain import InputError, Logit, Logits, Score
from jaxplain.methods import deconvnet, grad_cam, gradient, guided_backprop, guided_grad_cam
from jaxplain.testing import relu_network, smooth_network, tol
from jaxplain.testing.gates import AFTER, BEFORE, two_convolutions
from jaxplain.testing.networks import LAYER, images

X = jnp.asarray(images(1)[0])
SCORE = Score(relu_network(8), Logit(1))


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_independent_of_how_the_relu_is_written(name):
    """One network, its ReLU as a function of jax.nn, as a maximum, as a choice, in place, reused, in a branch."""
    weights = jax.random.normal(jax.random.key(0), (3, 6, 6))
    x = jax.random.normal(jax.random.key(1), (6,))
    relus = (
        jax.nn.relu,
        lambda x: jnp.maximum(x, 0),
        lambda x: jnp.where(x > 0, x, 0),
        lambda x: x.at[:].set(jax.nn.relu(x)),
        lambda x: jax.lax.cond(x[0] > 0, jax.nn.relu, lambda h: jnp.maximum(h, 0), x),
    )
    explain = getattr(jaxplain.methods, name)

    def network(relu):
        return lambda x: jnp.sum(relu(relu(relu(x @ weights[0]) @ weights[1]) @ weights[2]))

    maps = [explain(network(relu), x) for relu in relus]
    assert np.abs(maps[0]).max() > 0
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], **tol(np.float32, terms=200))


def test_positive_weights_make_guided_backprop_the_gradient():
    def f(x):
        return jnp.sum(jax.nn.relu(jnp.abs(jnp.sin(jnp.arange(12.0).reshape(3, 4))) @ x - 1))

    x = jnp.array([1.0, -1.0, 2.0, -0.5])
    np.testing.assert_allclose(guided_backprop(f, x), gradient(f, x), rtol=1e-6)


def test_relu6_counts_and_other_activations_keep_their_derivative():
    x = jnp.array([-1.0, 2.0, 7.0])
    np.testing.assert_array_equal(guided_backprop(lambda x: jnp.sum(jax.nn.relu6(x)), x), [0, 1, 0])
    np.testing.assert_array_equal(deconvnet(lambda x: -jnp.sum(jax.nn.relu6(x)), x), [0, 0, 0])
    mixed = guided_backprop(lambda x: jnp.sum(jax.nn.relu(x)) - jnp.sum(jnp.tanh(x)), x)
    np.testing.assert_allclose(mixed, jnp.heaviside(x, 0.0) - (1 - jnp.tanh(x) ** 2), rtol=1e-5, atol=1e-6)


def test_guided_grad_cam_is_the_product():
    f = Score(relu_network(8), Logits(jnp.array([0, 3])))
    product = guided_backprop(f, X) * grad_cam(f, X, layer=LAYER)[..., None]
    assert np.abs(product).max() > 0
    np.testing.assert_allclose(guided_grad_cam(f, X, layer=LAYER), product, **tol(np.float32, terms=100))


def test_grad_cam_of_the_same_toy():
    image = jnp.arange(16.0).reshape(4, 4, 1)
    knobs = {"relu": False, "upsample": None}
    np.testing.assert_allclose(
        grad_cam(two_convolutions, image, layer=BEFORE, **knobs), [[11.25, 13.5], [20.25, 22.5]], rtol=1e-6
    )
    np.testing.assert_allclose(grad_cam(two_convolutions, image, layer=AFTER, **knobs), [[0, 4], [28, 32.5]], rtol=1e-6)


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet", "guided_grad_cam"])
def test_a_network_without_relu_is_refused(name):
    layer = {"layer": LAYER} if name == "guided_grad_cam" else {}
    with pytest.raises(InputError, match=r"no block is accepted by.*relu"):
        getattr(jaxplain.methods, name)(Score(smooth_network(), Logit(0)), X, **layer)


def test_maps_train_against_finite_differences(x64):
    """The derivative of a map's penalty with respect to the weights."""
    first, second = (jax.random.normal(jax.random.key(k), (5, 5), jnp.float64) for k in range(2))
    x = jax.random.normal(jax.random.key(2), (5,), jnp.float64)

    @jax.jit
    def penalty(weights):
        def f(x):
            hidden = checkpoint_name(jax.nn.relu(x @ weights[0]), "hidden")
            return jnp.sum(jax.nn.relu(hidden @ weights[1]) ** 2)

        return jnp.sum(guided_backprop(f, x) ** 2) + jnp.sum(deconvnet(f, x) ** 3)

    check_grads(penalty, ((first, second),), order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


def test_explain_runs_them_on_a_batch():
    batch = images(3)
    for name in ("guided_backprop", "deconvnet"):
        got = jaxplain.explain(relu_network(8), batch, Logit(1), method=name)
        want = np.stack([getattr(jaxplain.methods, name)(SCORE, jnp.asarray(x)) for x in batch])
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=1000, scale=float(np.abs(want).max())))
