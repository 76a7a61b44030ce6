"""Native max-pooling against XLA's: values, cotangents, ties, NaN, transformations, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxplain.testing import tol
from jaxplain_kernels.pool import max_pool
from jaxplain_kernels.pool.api import OP, Spec
from jaxplain_kernels.pool.cases import SMALL

native = pytest.importorskip("jaxplain_native")
SERVED = {name: case for name, case in SMALL.items() if name != "one axis"} | {
    "one axis between": ((2, 11, 3), (1, 3, 1), (1, 2, 1), ((0, 0), (1, 1), (0, 0))),
    "many channels": ((3, 6, 7, 70), (1, 3, 3, 1), (1, 2, 1, 1), ((0, 0), (1, 0), (2, 2), (0, 0))),
}


def both(case, values=None):
    shape, window, strides, padding = case
    x = np.random.default_rng(0).normal(size=shape) if values is None else values

    def plain(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)

    def ours(x):
        return max_pool(x, window=window, strides=strides, padding=padding, implementation="native")

    return jnp.asarray(x, jnp.float32), ours, plain


@pytest.mark.parametrize("name", SERVED)
def test_values_and_cotangents_are_those_of_xla(name):
    x, ours, plain = both(SERVED[name])
    want, pull = jax.vjp(plain, x)
    got, pull_ours = jax.vjp(ours, x)
    np.testing.assert_array_equal(got, want)
    cotangent = jnp.asarray(np.random.default_rng(1).normal(size=want.shape), jnp.float32)
    np.testing.assert_allclose(pull_ours(cotangent)[0], pull(cotangent)[0], **tol(np.float32, terms=9, scale=4.0))


@pytest.mark.parametrize("name", ["resnet stem, small", "three axes"])
def test_ties_go_to_the_first_position(name):
    x, ours, plain = both(SERVED[name], np.zeros(SERVED[name][0]))
    cotangent = jnp.ones(plain(x).shape)
    np.testing.assert_array_equal(jax.vjp(ours, x)[1](cotangent)[0], jax.vjp(plain, x)[1](cotangent)[0])


def test_nan_and_the_lowest_values():
    x, ours, plain = both(SERVED["resnet stem, small"])
    x = x.at[0, 4, 4, 1].set(jnp.nan).at[1].set(-jnp.inf)
    np.testing.assert_array_equal(ours(x), plain(x))


def test_jit_vmap_and_second_derivatives():
    x, ours, plain = both(SERVED["resnet stem, small"])

    def penalty(pool):
        return lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(jnp.tanh(pool(x)) ** 2))(x) ** 2)

    limits = tol(np.float32, terms=100, scale=4.0)
    np.testing.assert_allclose(jax.jit(jax.grad(penalty(ours)))(x), jax.grad(penalty(plain))(x), **limits)
    many = jnp.stack([x, -x, 2 * x])
    for f in (ours, jax.grad(lambda x: jnp.sum(ours(x) ** 2))):
        np.testing.assert_array_equal(jax.jit(jax.vmap(f))(many), jnp.stack([f(one) for one in many]))
    _, pull = jax.vjp(ours, x)  # one input, several cotangents
    some = jnp.stack([jnp.ones(ours(x).shape), ours(x)])
    np.testing.assert_array_equal(jax.vmap(pull)(some)[0][1], pull(some[1])[0])


def test_it_is_chosen_where_windows_overlap():
    assert OP.choose(Spec(*SMALL["resnet stem, small"]), platform="cpu").name == "native"
    assert OP.choose(Spec(*SMALL["vgg, small"]), platform="cpu").name == "winners"
    assert OP.choose(Spec(*SMALL["resnet stem, small"], "float64"), platform="cpu").name == "winners"
    assert OP.choose(Spec(*SMALL["resnet stem, small"]), platform="cuda").name != "native"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (SMALL["one axis"], "one to three axes"),
        (((2, 4, 4, 2), (2, 2, 2, 1), (1, 1, 1, 1), ((0, 0),) * 4), "covers batch or channels"),
        (((1, 20, 20, 2), (1, 12, 12, 1), (1, 1, 1, 1), ((0, 0),) * 4), "more than 127"),
        (((1, 8, 8, 2), (1, 2, 2, 1), (1, 2, 2, 1), ((0, 0), (-1, 0), (0, 0), (0, 0))), "padding is negative"),
        (((1, 1, 8, 2), (1, 2, 2, 1), (1, 2, 2, 1), ((0, 0),) * 4), "length zero"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_reason(case, reason):
    x, ours, _ = both(case)
    with pytest.raises(NotImplementedError, match=reason):
        ours(x)
