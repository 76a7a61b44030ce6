"""Max-pooling by winners against XLA's own: values, cotangents, ties, NaN, transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain.testing import tol
from jaxplain_kernels.pool import max_pool
from jaxplain_kernels.pool.cases import SMALL


def both(case, dtype=np.float32, values=None):
    shape, window, strides, padding = case
    x = np.random.default_rng(0).normal(size=shape).astype(dtype) if values is None else values

    def plain(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)

    def ours(x):
        return max_pool(x, window=window, strides=strides, padding=padding)

    return jnp.asarray(x), ours, plain


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", SMALL)
def test_values_and_cotangents_are_those_of_xla(name, dtype):
    x, ours, plain = both(SMALL[name], dtype)
    want, pull = jax.vjp(plain, x)
    got, pull_ours = jax.vjp(ours, x)
    np.testing.assert_array_equal(got, want)
    cotangent = jnp.asarray(np.random.default_rng(1).normal(size=want.shape), dtype)
    # Sums over the windows that share a winner are taken in another order.
    limits = tol(dtype, terms=9, scale=4.0)
    one, other = (np.asarray(p(cotangent)[0], np.float32) for p in (pull_ours, pull))
    np.testing.assert_allclose(one, other, **limits)


@pytest.mark.parametrize("name", ["resnet stem, small", "vgg, small"])
def test_ties_go_to_the_first_position(name):
    shape = SMALL[name][0]
    x, ours, plain = both(SMALL[name], values=np.zeros(shape, np.float32))
    cotangent = jnp.ones(plain(x).shape)
    np.testing.assert_array_equal(jax.vjp(ours, x)[1](cotangent)[0], jax.vjp(plain, x)[1](cotangent)[0])


def test_windows_of_padding_and_nan():
    x = jnp.array([jnp.nan, 1.0, 2.0, -jnp.inf])
    knobs = {"window": (2,), "strides": (1,), "padding": ((0, 0),)}
    np.testing.assert_array_equal(max_pool(x, **knobs), [jnp.nan, 2.0, 2.0])
    pulled = jax.vjp(lambda x: max_pool(x, **knobs), x)[1](jnp.array([1.0, 2.0, 3.0]))[0]
    np.testing.assert_array_equal(pulled, [1.0, 0.0, 5.0, 0.0])


def test_jit_vmap_and_second_derivatives(x64):
    x, ours, plain = both(SMALL["resnet stem, small"], np.float64)

    def penalty(pool):
        return lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(pool(x)) ** 2))(x) ** 2)

    got, want = jax.jit(jax.grad(penalty(ours)))(x), jax.grad(penalty(plain))(x)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=100))
    batch = jnp.stack([x, 2 * x])
    np.testing.assert_array_equal(
        jax.vmap(jax.grad(lambda x: ours(x).sum()))(batch)[0], jax.grad(lambda x: ours(x).sum())(x)
    )


def test_what_winners_cannot_do_is_refused_with_the_reason_and_auto_falls_back():
    wide = {"window": (128,), "strides": (1,), "padding": ((0, 0),)}
    with pytest.raises(NotImplementedError, match=r"more than 127.*'xla'"):
        max_pool(jnp.ones(200), **wide, implementation="winners")
    assert max_pool(jnp.ones(200), **wide).shape == (73,)
    cut = {"window": (2,), "strides": (1,), "padding": ((-1, 0),)}
    with pytest.raises(NotImplementedError, match="cuts the input"):
        max_pool(jnp.ones(8), **cut, implementation="winners")
    np.testing.assert_array_equal(max_pool(jnp.arange(8.0), **cut), jnp.arange(2.0, 8.0))
