"""Models, scores and their gradients: one example in, one number or K out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError, Logit, Logits, Model, Output, Predicted, Score
from jaxplain._errors import InputTypeError
from jaxplain.core.gradient import input_gradient, per_target, scale_maps
from jaxplain.core.score import output_of
from jaxplain.testing import smooth_network, tol
from jaxplain.testing.networks import SHAPE, images

WEIGHTS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
X = np.random.default_rng(1).normal(size=6).astype(np.float32)


def linear(weights, batch):
    return batch @ weights


def with_age(weights, batch, extra):
    return {"logits": batch @ weights + extra["age"], "age": extra["age"]}


def without_batch(weights, batch):
    return jnp.sum(batch @ weights)


def mixing(weights, batch):
    return jnp.concatenate([batch @ weights] * 2)


def test_a_model_is_a_pytree_of_its_parameters():
    model = Model({"w": jnp.asarray(WEIGHTS)}, lambda p, x: x @ p["w"])
    assert len(jax.tree.leaves(model)) == 1
    np.testing.assert_allclose(model(jnp.asarray(X)[None])[0], X @ WEIGHTS, **tol(np.float32, terms=6))
    traces = []

    @jax.jit
    def apply(model, x):
        traces.append(None)
        return model(x)

    first, second = (Model(jnp.asarray(scale * WEIGHTS), linear) for scale in (1, 2))
    np.testing.assert_allclose(2 * apply(first, X[None]), apply(second, X[None]), rtol=1e-6)
    assert len(traces) == 1


def test_a_score_adds_and_removes_the_batch_axis():
    model = Model(jnp.asarray(WEIGHTS), linear)
    np.testing.assert_allclose(Score(model, Logit(2))(jnp.asarray(X)), (X @ WEIGHTS)[2], **tol(np.float32, terms=6))
    np.testing.assert_allclose(Score(model, Output())(jnp.asarray(X)), X @ WEIGHTS, **tol(np.float32, terms=6))
    assert Score(model, Logits(jnp.array([0, 3])))(jnp.asarray(X)).shape == (2,)


def test_extras_lose_and_gain_their_batch_axis_as_well():
    score = Score(Model(jnp.asarray(WEIGHTS), with_age), Output(("logits",), Logit(1)), ({"age": jnp.full(4, 3.0)},))
    np.testing.assert_allclose(score(jnp.asarray(X)), (X @ WEIGHTS)[1] + 3, **tol(np.float32, terms=7))
    output = output_of(score.model, jnp.asarray(X), *score.extras)
    assert jax.tree.map(jnp.shape, output) == {"logits": (4,), "age": (4,)}


def test_what_is_no_score_is_refused():
    x, weights = jnp.asarray(X), jnp.asarray(WEIGHTS)
    with pytest.raises(InputTypeError, match=r"Predicted: the target is not resolved; call jaxplain\.explain"):
        Score(Model(weights, linear), Predicted())(x)
    with pytest.raises(InputError, match="no batch axis of length 1"):
        Score(Model(weights, without_batch), Output())(x)
    with pytest.raises(InputError, match=r"shape \(2, 4\) has no batch axis of length 1"):
        Score(Model(weights, mixing), Output())(x)
    with pytest.raises(InputError, match=r"Output: a target is a score or a vector of them, got the shape \(2, 3\)"):
        Score(Model(weights, lambda w, batch: batch.reshape(-1, 2, 3)), Output())(x)


def test_gradients_of_scalars_and_vectors():
    """One forward pass, K pull-backs: the Jacobian, against JAX's own forward mode."""
    model, x = smooth_network(), jnp.asarray(images(1)[0])
    for target, shape in ((Logit(3), SHAPE), (Logits(jnp.array([3, 0, 4])), (3, *SHAPE)), (Output(), (5, *SHAPE))):
        score = Score(model, target)
        got = input_gradient(score)(x)
        assert got.shape == shape and got.dtype == x.dtype
        want = jax.jacfwd(score)(x)
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=240, scale=float(jnp.abs(want).max())))


def test_one_forward_pass_serves_all_scores():
    calls = []

    def counted(x):
        jax.debug.callback(lambda: calls.append(None))
        return jnp.tanh(x)

    input_gradient(counted)(jnp.asarray(X)).block_until_ready()
    jax.effects_barrier()
    assert len(calls) == 1


def test_weights_receive_the_true_cotangent_through_a_map(x64):
    """For f = (w x)^2 the gradient 2 w (w x) has a sum of squares 4 |w|^2 (w x)^2, whose derivative is known."""
    w, x = jnp.asarray(WEIGHTS[:, 0], jnp.float64), jnp.asarray(X, jnp.float64)

    def penalty(w):
        score = Score(Model(w[:, None], lambda p, batch: jnp.square(batch @ p)), Logit(0))
        return jnp.sum(jnp.square(input_gradient(score)(x)))

    product = w @ x
    want = 8 * (w * product**2 + (w @ w) * product * x)
    np.testing.assert_allclose(jax.grad(penalty)(w), want, **tol(np.float64, terms=12, scale=float(abs(want).max())))


def test_factors_meet_maps_of_one_or_several_scores():
    maps, factor = np.ones((2, 3, 4), np.float32), np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(scale_maps(jnp.asarray(maps), jnp.asarray(factor)), maps * factor)
    np.testing.assert_array_equal(scale_maps(jnp.asarray(maps[0]), jnp.asarray(factor)), factor)
    assert scale_maps(jnp.ones((3, 4), jnp.bfloat16), jnp.asarray(factor)).dtype == jnp.bfloat16
    assert per_target(jnp.ones(2), 1, 2).shape == (2, 1, 1) and per_target(jnp.ones(()), 0, 2).shape == ()
