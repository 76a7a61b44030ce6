"""The affine prefix: where a function is cut, that both parts make the whole, and that sums may be taken at the cut."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain import Logit, Logits, Model, Score
from jaxplain.graph.prefix import affine_prefix, prefix_for_sums
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.methods.integrated_gradients import integrated_gradients, integrated_gradients_with_diagnostics
from jaxplain.methods.smoothgrad import smoothgrad
from jaxplain.testing import tol
from jaxplain.testing.networks import images, relu_network, smooth_network

W = np.random.default_rng(0).normal(size=(4, 3))
V = np.random.default_rng(1).normal(size=(4, 4))
IMAGE = np.random.default_rng(2).normal(size=(8, 8, 2))
KERNEL = np.random.default_rng(3).normal(size=(3, 3, 2, 4))


def times(x, weights):
    return x @ jnp.asarray(weights, x.dtype)


def conv(x, stride=1):
    kernel, numbers = jnp.asarray(KERNEL, x.dtype), ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=numbers)


@jax.custom_vjp
def reversed_gradient(x):
    return x


reversed_gradient.defvjp(lambda x: (x, None), lambda _, g: (-g,))


@jax.custom_vjp
def clipped_gradient(x):
    return x


clipped_gradient.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -0.1, 0.1),))


@jax.custom_vjp
def gated_gradient(x):
    return x


gated_gradient.defvjp(lambda x: (x, x), lambda x, g: (x * g,))


def center(h):
    return (h - h.mean(-1, keepdims=True)) * lax.rsqrt(jnp.var(h, axis=-1, keepdims=True) + 1e-3)


def unet(x):
    h = jnp.tanh(conv(x[None]))
    return jnp.sum(jnp.concatenate([h, x[None]], -1) ** 2)


def branching(x):
    h = times(x, V)
    return lax.cond(h[0] > 0, jnp.sin, jnp.cos, h).sum()


@jax.jit
def called(x):
    return jnp.tanh(times(x, W) * 2.0).sum()


# f, x, and the shapes at the cut.
CASES = {
    "the run with bias and scale": (lambda x: jnp.tanh((times(x, W) + 1.0) / 3.0).sum(), V[0], [(3,)]),
    "preprocessing before it": (lambda x: jnp.tanh(times((x - 0.4) / 0.2, W)).sum(), V[0], [(3,)]),
    "an image": (lambda x: jnp.tanh(conv(jnp.pad(x, ((1, 1), (1, 1), (0, 0)))[None], 2)).sum(), IMAGE, [(1, 5, 5, 4)]),
    "several runs in a row": (lambda x: jnp.tanh(times(times(x, V) - 1.0, W)).sum(), V[0], [(3,)]),
    "branches": (lambda x: jnp.tanh(times(x, W)).sum() + jnp.sin(times(x, V)).sum(), V[0], [(3,), (4,)]),
    "the input beside its run": (unet, IMAGE, [(1, 8, 8, 4), (1, 8, 8, 2)]),
    "no statistics of the run": (lambda x: jnp.sum(center(times(x, V))), V[0], [(4,)]),
    "inside jit": (called, V[0], [(3,)]),
    "inside remat": (jax.checkpoint(called), V[0], [(3,)]),
    "before a scan": (
        lambda x: lax.scan(lambda h, w: (jnp.tanh(h @ w), None), times(x, V), jnp.asarray(V)[None])[0].sum(),
        V[0],
        [(4,)],
    ),
    "before a branch": (branching, V[0], [(4,)]),
    "a pull-back that is linear": (lambda x: jnp.tanh(reversed_gradient(times(x, W)) * 2).sum(), V[0], [(3,)]),
    "all of it": (lambda x: times(x, W).sum(), V[0], [()]),
    "all of it, a vector": (lambda x: times(x, W), V[0], [(3,)]),
}
UNCUT = {
    "no product": lambda x: jnp.tanh((x - 1.0) / 3.0).sum(),
    "nonlinear at once": lambda x: times(jnp.tanh(x), W).sum(),
    "a product with itself": lambda x: times(x, x),
    "inside a scan": lambda x: lax.scan(lambda h, w: (h @ w, None), x, jnp.asarray(V)[None])[0].sum(),
    "a pull-back that is not linear": lambda x: times(clipped_gradient(x), W).sum(),
    "a pull-back that depends on the input": lambda x: times(gated_gradient(x), W).sum(),
    "a product that nobody reads": lambda x: (times(x, W), jnp.ones((), x.dtype))[1],
    "a stopped gradient": lambda x: times(lax.stop_gradient(x), W).sum() + times(x * x, W).sum(),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cut_lies_where_the_function_stops_being_affine(x64, name):
    f, x, shapes = CASES[name]
    x = jnp.asarray(x)
    parts = affine_prefix(f, x)
    cut = parts.prefix(x)
    assert [value.shape for value in cut] == shapes
    assert [(value.shape, value.dtype) for value in cut] == [(one.shape, one.dtype) for one in parts.shapes]
    assert parts.n_products > 0
    np.testing.assert_array_equal(parts.rest(cut), f(x))
    other = jnp.flip(x, 0)
    between = parts.prefix(0.25 * x + 0.75 * other)
    for got, low, high in zip(between, cut, parts.prefix(other), strict=True):
        np.testing.assert_allclose(got, 0.25 * low + 0.75 * high, **tol(np.float64, terms=20, scale=10))


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_at_the_cut_pulled_back_is_the_gradient(x64, name):
    f, x, _ = CASES[name]
    x = jnp.asarray(x)
    parts = affine_prefix(f, x)
    got = jax.jit(lambda x: parts.pull(0 * x, parts.gradient(parts.prefix(x))))(x)
    np.testing.assert_allclose(got, jax.jacrev(f)(x), **tol(np.float64, terms=50, scale=10))


@pytest.mark.parametrize("name", UNCUT)
def test_without_a_product_to_share_the_prefix_is_the_identity(x64, name):
    f, x = UNCUT[name], jnp.asarray(V[0])
    parts = affine_prefix(f, x)
    (cut,) = parts.prefix(x)
    np.testing.assert_array_equal(cut, x)
    np.testing.assert_array_equal(parts.rest((cut,)), f(x))
    assert (parts.n_products, parts.n_values) == (0, 4)


def test_only_the_prefix_evaluates_its_products():
    f, x, _ = CASES["the input beside its run"]
    x = jnp.asarray(x, jnp.float32)
    parts = affine_prefix(f, x)
    assert str(jax.make_jaxpr(parts.prefix)(x)).count("conv_general_dilated") == 1
    assert "conv_general_dilated" not in str(jax.make_jaxpr(parts.rest)(parts.prefix(x)))


def test_an_integer_among_the_inputs_is_no_affine_value():
    def f(x):
        return jnp.tanh(times(x["values"], W))[x["index"]]

    x = {"values": jnp.asarray(V[0], jnp.float32), "index": jnp.int32(1)}
    parts = affine_prefix(f, x)
    cut = parts.prefix(x)
    assert [value.dtype for value in cut] == [jnp.int32, jnp.float32]
    assert parts.rest(cut) == f(x)


def test_faster_pull_backs_are_seen_through():
    f, x = Score(relu_network(), Logit(1)), jnp.asarray(images(1)[0])
    fast = affine_prefix(with_fast_gradients(f), x)
    plain = affine_prefix(f, x)
    assert (fast.n_products, fast.n_values) == (plain.n_products, plain.n_values) == (12 * 10 * 9 * 2 * 6, 12 * 10 * 6)
    assert "custom_vjp" in str(jax.make_jaxpr(fast.rest)(fast.prefix(x)))
    got, want = fast.pull(x, fast.gradient(fast.prefix(x))), jax.grad(f)(x)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=100, scale=float(jnp.abs(want).max())))


def test_a_shape_is_enough_and_weights_stay_arguments():
    x = jnp.asarray(images(1)[0])

    traced = []

    def value(model, x):
        traced.append(x)
        return affine_prefix(Score(model, Logit(1)), jax.ShapeDtypeStruct(x.shape, x.dtype)).prefix(x)[0]

    model = relu_network()
    doubled = jax.tree.map(lambda leaf: 2 * leaf, model)
    run = jax.jit(value)
    np.testing.assert_allclose(run(doubled, x), 2 * run(model, x), rtol=1e-6)
    assert len(traced) == 1


def test_sharing_is_chosen_where_it_saves_many_products_per_value():
    def chosen(weights, implementation=None):
        f, x = lambda x: jnp.tanh(times(x, weights)).sum(), jnp.ones(len(weights))
        return prefix_for_sums(f, x, implementation).n_products

    assert chosen(np.ones((8, 5))) == 40 and chosen(np.ones((7, 5))) == 0
    assert chosen(np.ones((7, 5)), "shared") == 35 and chosen(np.ones((8, 5)), "plain") == 0


def stem(params, batch):
    """A strided stem with normalization, a residual block and a skip from the input."""
    scale, shift = (jnp.reshape(params[name], (1, 1, 1, -1)) for name in ("scale", "shift"))
    numbers = ("NHWC", "HWIO", "NHWC")
    h = lax.conv_general_dilated(batch - 0.1, params["stem"], (2, 2), "SAME", dimension_numbers=numbers)
    h = jax.nn.softplus((h - shift) * lax.rsqrt(scale**2 + 0.01))
    h = h + jnp.tanh(lax.conv_general_dilated(h, params["block"], (1, 1), "SAME", dimension_numbers=numbers))
    return jnp.concatenate([h.mean((1, 2)), jnp.sin(batch[:, 0, 0])], -1) @ params["head"]


def stem_network(dtype):
    shapes = {"stem": (3, 3, 2, 6), "scale": (6,), "shift": (6,), "block": (3, 3, 6, 6), "head": (8, 5)}
    random = np.random.default_rng(5)
    params = {name: jnp.asarray(random.normal(size=shape) / 2, dtype) for name, shape in shapes.items()}
    return Model(params, stem), jnp.asarray(images(1)[0], dtype)


METHODS = {
    "integrated_gradients": lambda f, x, **given: integrated_gradients(
        f, x, baseline=jnp.full_like(x, 0.1), n_steps=5, **given
    ),
    "smoothgrad": lambda f, x, **given: smoothgrad(f, x, key=jax.random.key(4), n_samples=5, **given),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("target", [Logit(1), Logits(np.array([0, 3, 4]))], ids=["one score", "three scores"])
@pytest.mark.parametrize("name", METHODS)
def test_shared_maps_are_the_plain_maps(x64, name, target, fast):
    model, x = stem_network(np.float64)
    f = with_fast_gradients(Score(model, target)) if fast else Score(model, target)
    batch = jnp.stack([x, 2 * x])

    def maps(implementation):
        return jax.jit(jax.vmap(lambda x: METHODS[name](f, x, implementation=implementation, chunk=2)))(batch)

    got, want = maps("shared"), maps("plain")
    assert got.shape == want.shape and float(jnp.abs(want).max()) > 0.01
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * float(jnp.abs(want).max()))


@pytest.mark.parametrize("name", METHODS)
def test_weights_get_the_same_derivative(x64, name):
    model, x = stem_network(np.float64)

    def penalty(params, implementation):
        f = with_fast_gradients(Score(Model(params, model.apply), Logit(1)))
        return jnp.sum(METHODS[name](f, x, implementation=implementation) ** 2)

    got, want = (jax.jit(jax.grad(partial(penalty, implementation=kind)))(model.params) for kind in ("shared", "plain"))
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float64, terms=1000, scale=float(jnp.abs(other).max()) + 1e-3))


def test_the_gap_of_completeness_is_the_same(x64):
    f, x = Score(smooth_network(), Logits(np.array([1, 2]))), jnp.asarray(images(1)[0], jnp.float64)

    @partial(jax.jit, static_argnames="kind")
    def gap(x, kind):
        return integrated_gradients_with_diagnostics(f, x, baseline=0 * x, n_steps=2, implementation=kind)[1]["gap"]

    gaps = [gap(x, kind) for kind in ("shared", "plain")]
    assert float(jnp.abs(gaps[1]).min()) > 1e-6
    np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-12)


def test_half_precision_is_shared_on_request_only():
    model, x = stem_network(jnp.bfloat16)
    f = Score(model, Logit(1))
    assert prefix_for_sums(f, x, None).n_products == 0 < prefix_for_sums(f, x, "shared").n_products
    maps = jax.jit(METHODS["integrated_gradients"], static_argnames="implementation")
    got = maps(f, x, implementation="shared")
    want = maps(Score(stem_network(jnp.float32)[0], Logit(1)), x.astype(jnp.float32))
    assert got.dtype == jnp.bfloat16
    # In one entry of the map meet 6 channels and up to 4 of the 9 positions of the strided kernel.
    limits = tol(jnp.bfloat16, terms=24, scale=float(jnp.abs(want).max()))
    np.testing.assert_allclose(np.asarray(got, np.float32), want, **limits)
