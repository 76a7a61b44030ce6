"""Taps against the same network written by hand in two parts."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from jaxplain._errors import InputError
from jaxplain.graph.layers import layers
from jaxplain.graph.tap import tap, tap_shapes, zero_deltas

KEYS = jax.random.split(jax.random.key(0), 4)
W1, W2 = jax.random.normal(KEYS[0], (3, 4)), jax.random.normal(KEYS[1], (4, 4))
X = jax.random.normal(KEYS[2], (3,))


def first(x):
    return jnp.tanh(x @ W1)


def second(h):
    return jnp.sum(jnp.sin(h @ W2) ** 2)


def network(x):
    return second(checkpoint_name(first(x), "middle"))


def gradient_at(f, layers, x):
    """The score, its gradient at the layers and their activations."""
    score, pull, activations = jax.vjp(
        lambda deltas: tap(f, layers)(x, deltas), zero_deltas(f, x, layers), has_aux=True
    )
    return score, pull(jnp.ones_like(score))[0], activations


def check_middle(f, x=X):
    score, gradient, activation = gradient_at(f, "middle", x)
    np.testing.assert_allclose(score, network(x), rtol=1e-6)
    np.testing.assert_allclose(activation, first(x), rtol=1e-6)
    np.testing.assert_allclose(gradient, jax.grad(second)(first(x)), rtol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda f: f,
        jax.jit,
        jax.checkpoint,
        partial(jax.checkpoint, policy=jax.checkpoint_policies.dots_saveable),
        lambda f: jax.jit(jax.checkpoint(jax.jit(f))),
        lambda f: lambda x: jax.lax.cond(x[0] < 100.0, f, lambda x: jnp.zeros(()), x),
        lambda f: lambda x: jax.vmap(f)(jnp.stack([x, x]))[0],
    ],
    ids=["plain", "jit", "remat", "remat-policy", "nested", "cond", "vmap-inside"],
)
def test_gradient_at_a_tag_inside(wrap):
    f = wrap(network)
    if tap_shapes(f, X, "middle").shape == (4,):
        check_middle(f)
    else:
        _, gradient, activation = gradient_at(f, "middle", X)
        np.testing.assert_allclose(activation[1], first(X), rtol=1e-6)
        np.testing.assert_allclose(gradient[0], jax.grad(second)(first(X)), rtol=1e-5)
        np.testing.assert_array_equal(gradient[1], 0)


def test_under_transformations():
    batch = jax.random.normal(KEYS[3], (5, 3))
    eager = [gradient_at(network, "middle", x) for x in batch]
    together = jax.jit(jax.vmap(partial(gradient_at, network, "middle")))(batch)
    for number, want in enumerate(zip(*eager, strict=True)):
        np.testing.assert_allclose(together[number], np.stack(want), rtol=1e-5, atol=1e-6)


def test_outer_gradient():
    """A gradient at a layer may stand inside a loss."""
    penalty = lambda x: jnp.sum(gradient_at(network, "middle", x)[1] ** 2)  # noqa: E731
    by_hand = lambda x: jnp.sum(jax.grad(second)(first(x)) ** 2)  # noqa: E731
    np.testing.assert_allclose(jax.grad(penalty)(X), jax.grad(by_hand)(X), rtol=1e-4)


def test_float64(x64):
    del x64
    x = np.asarray(X, np.float64)
    f = lambda x: jnp.sum(checkpoint_name(x**2, "square") ** 3)  # noqa: E731
    _, gradient, activation = gradient_at(f, "square", jnp.asarray(x))
    assert gradient.dtype == activation.dtype == np.float64
    np.testing.assert_allclose(gradient, 3 * x**4, rtol=1e-13)


def test_delta_moves_only_what_follows():
    delta = jnp.arange(4.0)
    score, activation = tap(network, "middle")(X, delta)
    np.testing.assert_allclose(score, second(first(X) + delta), rtol=1e-6)
    np.testing.assert_allclose(activation, first(X), rtol=1e-6)
    assert tap(network, "middle")(X)[0] == network(X)


def test_several_layers_in_one_backward():
    def f(x):
        h = checkpoint_name(first(x), "a")
        return second(checkpoint_name(h * 2.0, "b") + h)

    _, (at_a, at_b), (a, b) = gradient_at(f, ("a", "b"), X)
    np.testing.assert_allclose(b, 2 * a, rtol=1e-6)
    inner = jax.grad(second)(3 * first(X))
    np.testing.assert_allclose(at_b, inner, rtol=1e-5)
    np.testing.assert_allclose(at_a, 3 * inner, rtol=1e-5)


def test_scan_gives_the_activation_its_axis_and_an_index_selects():
    def body(h, w):
        return checkpoint_name(jnp.tanh(h @ w), "step"), h.sum()

    weights = jnp.stack([W2, 0.5 * W2, -W2])

    def f(x):
        h, sums = jax.lax.scan(body, first(x), weights)
        return (h**2).sum() + sums.sum()

    def by_hand(x, deltas):
        h, sums = first(x), 0.0
        for w, delta in zip(weights, deltas, strict=True):
            sums += h.sum()
            h = jnp.tanh(h @ w) + delta
        return (h**2).sum() + sums

    want = jax.grad(by_hand, argnums=1)(X, jnp.zeros((3, 4)))
    _, gradient, activation = gradient_at(f, "step", X)
    assert activation.shape == (3, 4)
    np.testing.assert_allclose(gradient, want, rtol=1e-4, atol=1e-6)
    for index in range(3):
        _, one, value = gradient_at(f, f"step[{index}]", X)
        np.testing.assert_allclose(one, want[index], rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(value, activation[index])
    with pytest.raises(InputError, match=r"scan axes of length \(3,\)"):
        tap(f, "step[3]")(X)
    with pytest.raises(InputError, match="no scan axis"):
        tap(network, "middle[0]")(X)


def test_cond_gives_zeros_for_the_branch_not_taken():
    f = lambda x: jax.lax.cond(  # noqa: E731
        x[0] > 0,
        lambda x: (checkpoint_name(x**2, "yes")).sum(),
        lambda x: (checkpoint_name(x**3, "no")).sum(),
        x,
    )
    _, gradients, values = gradient_at(f, ("yes", "no"), jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(values[0], [1, 4, 9])
    np.testing.assert_array_equal(values[1], 0)
    np.testing.assert_array_equal(gradients[0], 1)
    np.testing.assert_array_equal(gradients[1], 0)


def test_a_custom_rule_without_a_tap_stays_whole():
    """relu'(0) = 0 is the author's rule; unwrapped, the maximum would give 0.5."""
    f = lambda x: jax.nn.relu(checkpoint_name(x, "input")).sum()  # noqa: E731
    _, gradient, _ = gradient_at(f, "input", jnp.zeros(3))
    np.testing.assert_array_equal(gradient, 0)


def test_straight_through_estimator_before_and_after_the_tap():
    @jax.custom_vjp
    def step(x):
        return jnp.round(x)

    step.defvjp(lambda x: (step(x), None), lambda _, g: (g,))
    f = lambda x: (2.0 * step(checkpoint_name(step(x), "middle"))).sum()  # noqa: E731
    _, gradient, value = gradient_at(f, "middle", X)
    np.testing.assert_array_equal(gradient, 2)
    np.testing.assert_array_equal(value, np.round(X))


def test_inside_a_while_loop_is_refused():
    f = lambda x: jax.lax.while_loop(lambda h: h.sum() < 0, lambda h: checkpoint_name(h + 1, "inside"), x).sum()  # noqa: E731
    with pytest.raises(InputError, match="while loop"):
        tap(f, "inside")(X)


def test_unknown_layer_and_wrong_delta():
    with pytest.raises(InputError, match="did you mean 'middle'"):
        tap(network, "midle")(X)
    with pytest.raises(InputError, match="has the shape"):
        tap(network, "middle")(X, jnp.zeros(3))
    with pytest.raises(InputError, match="2 layers need 2 deltas"):
        tap(network, ("middle", "middle"))(X, (jnp.zeros(4),))


def test_same_tag_twice_is_numbered():
    f = lambda x: (checkpoint_name(2.0 * checkpoint_name(x, "t"), "t") ** 2).sum()  # noqa: E731
    assert [layer.path for layer in layers(f, X)] == ["t", "t@2"]
    _, (first_gradient, second_gradient), _ = gradient_at(f, ("t", "t@2"), X)
    np.testing.assert_allclose(first_gradient, 8 * X, rtol=1e-6)
    np.testing.assert_allclose(second_gradient, 4 * X, rtol=1e-6)


def test_vector_scores_and_integer_indexing():
    f = lambda x: checkpoint_name(first(x), "middle") @ W2  # noqa: E731
    score, pull, _ = jax.vjp(lambda delta: tap(f, "middle")(X, delta), jnp.zeros(4), has_aux=True)
    (rows,) = jax.vmap(pull)(jnp.eye(4))
    assert score.shape == (4,)
    np.testing.assert_allclose(rows, W2.T, rtol=1e-6)


def test_weights_stay_traced():
    """The arrays inside a pytree of a function are inputs of the program, not constants."""
    f = jax.tree_util.Partial(lambda w, x: (checkpoint_name(x @ w, "h") ** 2).sum(), W1)
    run = jax.jit(lambda f, x: tap(f, "h")(x)[0])
    jaxpr = jax.make_jaxpr(run)(f, X)
    assert not any(np.size(const) > 1 for const in jaxpr.consts)
    weights = lambda w: tap(jax.tree_util.Partial(f.func, w), "h")(X)[0]  # noqa: E731
    np.testing.assert_allclose(jax.grad(weights)(W1), jax.grad(lambda w: ((X @ w) ** 2).sum())(W1), rtol=1e-5)


def test_loops_that_start_from_python_numbers():
    """A scan's start may be a weakly typed constant in the program."""

    def f(x):
        total, _ = jax.lax.scan(lambda h, k: (checkpoint_name(h + x[k], "sum"), None), 1.0, jnp.arange(3))
        return total**2

    _, gradient, activation = gradient_at(f, "sum", X)
    np.testing.assert_allclose(activation, 1 + np.cumsum(X), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.full(3, 2 * (1 + X.sum())), rtol=1e-6)


def test_a_layer_and_what_it_contains_at_once():
    """The outer value is the inner one's: both deltas are added."""

    def f(x):
        with jax.named_scope("net"), jax.named_scope("outer"):
            h = jax.checkpoint(lambda x: checkpoint_name(jnp.sin(x), "inner") * 2.0)(x)
        return (h**2).sum()

    _, (at_outer, at_inner), (outer, inner) = gradient_at(f, ("outer", "inner"), X)
    np.testing.assert_allclose(outer, 2 * inner, rtol=1e-6)
    np.testing.assert_allclose(at_inner, 2 * at_outer, rtol=1e-6)
    score, _ = tap(f, ("outer", "inner"))(X, (jnp.ones(3), jnp.ones(3)))
    np.testing.assert_allclose(score, ((2 * (jnp.sin(X) + 1) + 1) ** 2).sum(), rtol=1e-5)
