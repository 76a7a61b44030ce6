"""DeepLIFT's rules one by one: hand-made numbers, completeness of every kind of block, and their limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from jax.test_util import check_grads

from jaxplain import InputError
from jaxplain.graph.composites.difference.rescale import secant
from jaxplain.graph.contributions import contributions
from jaxplain.testing import tol

RANDOM = np.random.default_rng(0)
X, REFERENCE, WEIGHTS = (RANDOM.normal(size=(3, 4)) * scale for scale in (3.0, 1.0, 1.0))
MASK = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [0, 1, 1, 1]], bool)
REFERENCE[0, :2] = X[0, :2]  # entries that do not differ


def weighted(function):
    """The sum of what a function gives, entries weighted."""

    def score(x):
        values = function(x)
        return jnp.sum(jnp.asarray(np.resize(WEIGHTS, values.shape), values.dtype) * values)

    return score


def normalized(layer):
    return lambda x: layer.apply({"params": {}}, x)


def attention(x):
    """Attention that moves axes between the product and its softmax."""
    logits = jnp.einsum("qd,kd->kq", x, x).transpose(1, 0)
    return jax.nn.softmax(logits, axis=1).T @ x


NETWORKS = {
    "softmax over rows": lambda x: jax.nn.softmax(x, axis=0),
    "softmax over all": lambda x: jax.nn.softmax(x, axis=(0, 1)),
    "softmax with a mask": lambda x: jax.nn.softmax(x, axis=1, where=jnp.asarray(MASK)),
    "softmax of -inf": lambda x: jax.nn.softmax(jnp.where(MASK, x, -jnp.inf), axis=1),
    "softmax of the least": lambda x: jax.nn.softmax(jnp.where(MASK, x, jnp.finfo(x.dtype).min), axis=1),
    "softmax written out": lambda x: jnp.exp(x) / jnp.sum(jnp.exp(x), axis=1, keepdims=True),
    "log-softmax": lambda x: jax.nn.log_softmax(x, axis=1),
    "log-sum-exp": lambda x: jax.nn.logsumexp(x, axis=1),
    "log-add-exp": lambda x: jnp.logaddexp(x[0], x[1]),
    "attention": attention,
    "layer norm": normalized(nn.LayerNorm(use_bias=False, use_scale=False, force_float32_reductions=False)),
    "group norm": normalized(
        nn.GroupNorm(num_groups=2, use_bias=False, use_scale=False, force_float32_reductions=False)
    ),
    "rms norm": normalized(nn.RMSNorm(use_scale=False, force_float32_reductions=False)),
    "unit length": lambda x: x / jnp.linalg.norm(x, axis=1, keepdims=True),
    "deviation": lambda x: jnp.std(x, axis=1),
    "where": lambda x: jnp.where(x > 0.5, x**2, jnp.sin(x[::-1])),
    "power": lambda x: jnp.abs(x) ** x,
    "quotients": lambda x: x[0] / x[1] + 3 / x[2] + x[1] / x[1],
    "arctan2": lambda x: jnp.arctan2(x[0], x[1]),
    "products": lambda x: jnp.einsum("ij,kj->ik", x, x) ** 2 * x[:, :3],
    "clip": lambda x: jnp.clip(x, -1, 1),
    "maxima": lambda x: jnp.maximum(x[0], x[1]) + jnp.minimum(x[1], x[2]) + x.max() + x.min(),
    "running maxima": lambda x: lax.cummax(x, axis=1) + lax.cummin(x, axis=0),
    "max pooling": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "SAME"),
    "min pooling": lambda x: lax.reduce_window(x, jnp.inf, lax.min, (2, 3), (1, 2), "SAME"),
    "steps": lambda x: jnp.floor(x) + jnp.sign(x) + jnp.round(2 * x),
    "straight through": lambda x: x + lax.stop_gradient(jnp.round(x) - x),
    "activations": lambda x: jax.nn.gelu(x) + jax.nn.elu(x) + jax.nn.relu6(x) + jax.nn.mish(x) + jax.nn.soft_sign(x),
    "gated": lambda x: jax.nn.glu(x) + jax.nn.silu(x[:, :2]),
    "moved": lambda x: jnp.stack([jnp.tile(x[0], 2), jnp.roll(x, 1).ravel()[:8], jax.device_put(x[1:]).ravel() ** 2]),
    "taken": lambda x: x[np.array([2, 0, 2])] + lax.dynamic_slice(x**3, (1, 1), (1, 1)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_contributions_sum_to_the_change(x64, name):
    f, x, reference = weighted(NETWORKS[name]), jnp.asarray(X), jnp.asarray(REFERENCE)
    found = jax.jit(lambda x, reference: contributions(f, x, reference))(x, reference)
    assert np.abs(found).max() > 0
    size = float(np.abs(found).max() + np.abs(f(x)) + np.abs(f(reference)))
    np.testing.assert_allclose(found.sum(), f(x) - f(reference), **tol(np.float64, terms=100, scale=size))


@pytest.mark.parametrize("name", NETWORKS)
def test_near_the_reference_contributions_are_gradient_times_difference(x64, name):
    """No threshold shows: at a distance of 1e-9 multipliers are the gradient to 1e-6, and at none they are finite."""
    f, x = weighted(NETWORKS[name]), jnp.asarray(X)
    gradient = jax.grad(f)(x)
    if name == "straight through":
        gradient = jax.grad(weighted(jnp.round))(x)
    steps = 1e-9 * jnp.asarray(WEIGHTS)
    found = contributions(f, x, x - steps)
    np.testing.assert_allclose(found / steps, gradient, rtol=0, atol=1e-6 * float(jnp.abs(gradient).max() + 1))
    np.testing.assert_array_equal(contributions(f, x, x), 0)


@pytest.mark.parametrize("function", [jnp.exp, jnp.tanh, jax.nn.softplus, jnp.sin, jnp.log], ids=lambda f: f.__name__)
def test_slopes_are_accurate_however_near_the_points(x64, function):
    """Rounding eps / d of the quotient meets the error d^2 of the derivative halfway: at worst eps^(2/3)."""
    x = jnp.linspace(0.5, 3, 11)[:, None]
    distances = jnp.asarray(10.0 ** np.linspace(-7.5, 0, 61))[None]
    x, x0 = (value.astype(jnp.float32) for value in jnp.broadcast_arrays(x + distances, x))
    got = secant(function, x0, x, function(x0), function(x))
    exact, exact0 = x.astype(jnp.float64), x0.astype(jnp.float64)
    middle = jax.vmap(jax.grad(function))(0.5 * (exact + exact0).ravel()).reshape(exact.shape)
    near = jnp.abs(exact - exact0) < 1e-6
    apart = jnp.where(near, 1, exact - exact0)
    want = jnp.where(near, middle, (function(exact) - function(exact0)) / apart)
    eps = float(jnp.finfo(jnp.float32).eps)
    np.testing.assert_allclose(got, want, rtol=4 * eps ** (2 / 3), atol=4 * eps ** (2 / 3))


@pytest.mark.parametrize("distance", [1.0, 1e-3, 1e-9, 1e-30])
def test_a_kink_between_near_points_is_seen(distance):
    x = jnp.array([3.0, 1.0]) * distance
    start = jnp.array([-1.0, -1.0]) * distance
    got = secant(jax.nn.relu, start, x, jax.nn.relu(start), jax.nn.relu(x))
    np.testing.assert_allclose(got, [0.75, 0.5], rtol=1e-6)


def test_maxima_give_the_change_to_the_winner():
    def pooled(x):
        return jnp.sum(lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID"))

    # Windows that overlap add: both rise to 5, from 4 and 3.
    np.testing.assert_allclose(contributions(pooled, jnp.array([1.0, 5, 2]), jnp.array([4.0, 0, 3])), [0, 3, 0])
    # Both fall to 2, from the 4 and the 3 of the reference.
    np.testing.assert_allclose(contributions(pooled, jnp.array([1.0, 2, 0]), jnp.array([4.0, 0, 3])), [-2, 0, -1])
    two = lambda x: jnp.maximum(x[0], x[1]) - 10 * jnp.minimum(x[0], x[1])  # noqa: E731
    np.testing.assert_allclose(contributions(two, jnp.array([3.0, 1]), jnp.array([0.0, 2])), [1 - 10, 0])
    np.testing.assert_allclose(contributions(two, jnp.array([1.0, 0]), jnp.array([0.0, 4])), [0, -3])


def test_equal_maxima_share_or_the_first_has_all():
    x, reference = jnp.array([2.0, 2.0]), jnp.zeros(2)
    np.testing.assert_allclose(contributions(lambda x: x.max(), x, reference), [1, 1])
    pooled = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID")[0]  # noqa: E731
    np.testing.assert_allclose(contributions(pooled, x, reference), [2, 0])


def test_a_winner_that_stays_keeps_its_derivative():
    """Of max(u - v, -5) with u - v = 3 at both ends, u and v contribute their own changes."""
    f = lambda x: jnp.maximum(x[0] - x[1], -5.0 * x[2])  # noqa: E731
    np.testing.assert_allclose(contributions(f, jnp.array([4.0, 1, 1]), jnp.array([3.0, 0, 1])), [1, -1, 0])


def test_an_activation_written_with_where_is_one_secant(x64):
    x, reference = jnp.array([1.5, -2.0, 0.7, 3.0]), jnp.array([-1.0, 2.0, 0.9, -0.1])
    curve = lambda x: jnp.where(x > 0.8, 3 * x, x**3)  # noqa: E731
    np.testing.assert_allclose(
        contributions(lambda x: jnp.sum(curve(x)), x, reference), curve(x) - curve(reference), rtol=1e-12
    )


def test_where_without_a_changing_value_has_no_answer():
    f = lambda x: jnp.where(x[0] > 1, x[1], -x[1])  # noqa: E731
    assert np.isnan(contributions(f, jnp.array([2.0, 1]), jnp.array([0.0, 1]))).any()


def test_entries_from_other_places_have_no_answer():
    f = lambda x: x[jnp.argmax(x)] ** 2  # noqa: E731
    np.testing.assert_allclose(contributions(f, jnp.array([3.0, 1]), jnp.array([2.0, 0])), [5, 0])
    assert np.isnan(contributions(f, jnp.array([3.0, 1]), jnp.array([2.0, 4]))).any()


def test_softmax_of_two_is_the_sigmoid_of_their_difference(x64):
    x, reference = jnp.array([2.0, -1.5]), jnp.array([-0.3, 0.8])
    found = contributions(lambda x: jax.nn.softmax(x)[0], x, reference)
    (rise,) = contributions(lambda d: jax.nn.sigmoid(d[0]), (x[0] - x[1])[None], (reference[0] - reference[1])[None])
    slope = rise / (x[0] - x[1] - reference[0] + reference[1])
    np.testing.assert_allclose(found, slope * jnp.array([1.0, -1.0]) * (x - reference), rtol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 50.0, -1000.0])
def test_softmax_does_not_see_a_shift_of_all_logits(shift):
    """Not even one that would overflow between example and reference."""
    x, reference = jnp.asarray(X[0], jnp.float32), jnp.asarray(REFERENCE[1], jnp.float32)
    for function in (jax.nn.softmax, jax.nn.log_softmax):
        f = lambda x, function=function: function(x)[2]  # noqa: E731
        multipliers = contributions(f, x + shift, reference) / (x + shift - reference)
        plain = contributions(f, x, reference) / (x - reference)
        np.testing.assert_allclose(multipliers, plain, rtol=0, atol=4 * float(np.spacing(np.float32(abs(shift) + 8))))


def test_softmax_is_complete_where_it_saturates():
    x, reference = jnp.array([300.0, 0, -200, 1]), jnp.array([-250.0, 1, 150, 0])
    for index in range(4):
        f = lambda x, index=index: jax.nn.softmax(x)[index]  # noqa: E731
        np.testing.assert_allclose(
            contributions(f, x, reference).sum(), f(x) - f(reference), **tol(np.float32, terms=4, scale=1.0)
        )


@pytest.mark.parametrize("layer", [nn.LayerNorm(use_bias=False, use_scale=False), nn.RMSNorm(use_scale=False)])
@pytest.mark.parametrize("size", [0.0, 1e-4, 1e-2, 1.0])
def test_normalization_of_a_reference_without_variance(layer, size):
    """No contribution is much larger than the change of its output, though 1 / deviation is a thousand there."""
    x, reference = jnp.asarray(X, jnp.float32), size * jnp.asarray(WEIGHTS, jnp.float32)
    f = weighted(normalized(layer))
    found = contributions(f, x, reference)
    assert np.abs(found).max() < 10
    np.testing.assert_allclose(found.sum(), f(x) - f(reference), rtol=1e-5, atol=1e-5)


def test_what_has_no_rule_is_refused_by_name():
    x = jnp.asarray(X, jnp.float32)
    f = lambda x: jnp.sum(jnp.sort(jnp.tanh(x), axis=1)[:, 0])  # noqa: E731
    with pytest.raises(InputError, match=r"no rule for the operation 'sort'.*unknown=\"gradient\""):
        contributions(f, x, 0 * x)
    assert np.isfinite(contributions(f, x, 0 * x, unknown="gradient")).all()
    three = lambda x: jnp.sum(lax.clamp(x[0], x[1], x[2]))  # noqa: E731
    with pytest.raises(InputError, match=r"'clamp'.*test_difference_rules.*no function of one or two entries"):
        contributions(three, x, 0 * x)


def test_contributions_differentiate_by_weights(x64):
    """Against finite differences: ReLU, pooling, normalization and softmax, at a reference that is not zero."""
    first, second = (jnp.asarray(RANDOM.normal(size=(4, 4))) for _ in range(2))
    x, reference = jnp.asarray(X), jnp.asarray(REFERENCE)
    norm = nn.LayerNorm(use_bias=False, use_scale=False, force_float32_reductions=False)

    @jax.jit
    def penalty(weights):
        def f(x):
            hidden = jax.nn.relu(x @ weights[0])
            hidden = lax.reduce_window(hidden, -jnp.inf, lax.max, (1, 2), (1, 1), "SAME")
            return weighted(lambda h: jax.nn.softmax(jax.nn.gelu(norm.apply({"params": {}}, h) @ weights[1])))(hidden)

        return jnp.sum(contributions(f, x, reference) ** 2)

    check_grads(penalty, ((first, second),), order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


def test_a_single_value_meets_a_vector():
    """JAX multiplies by a value without axes as it is."""
    x, x0 = jnp.array([1.0, -2.0, 3.0]), jnp.array([0.5, 1.0, 1.0])
    f = lambda x: jnp.sum(x * jnp.sum(x))  # noqa: E731
    got = contributions(f, x, x0)
    np.testing.assert_allclose(got.sum(), f(x) - f(x0), **tol(np.float32, terms=9, scale=4))
