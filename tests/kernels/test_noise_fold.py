"""Noisy copies in every form against JAX's own normal numbers: to the bit, for every shape, under jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain_kernels.noise_fold import noise_fold
from jaxplain_kernels.noise_fold.api import OP
from jaxplain_kernels.noise_fold.cases import SMALL
from jaxplain_kernels.noise_fold.xla import normal

FORMS = [form.name for form in OP.forms]


def plain(x, key, spread):
    return x + spread * jax.random.normal(key, x.shape, x.dtype)


@pytest.mark.parametrize("name", SMALL)
def test_the_numbers_are_jaxs_to_the_bit(name):
    for seed in (0, 1, 2**40 + 5):
        key = jax.random.key(seed)
        shape = SMALL[name][1]
        np.testing.assert_array_equal(normal(key, shape), jax.random.normal(key, shape))


@pytest.mark.optimized
@pytest.mark.parametrize("form", FORMS)
def test_compiled_copies_of_a_batch_are_what_they_were_without_the_kernel(form):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 33, 31, 3)), jnp.float32)
    keys = jax.random.split(jax.random.key(3), (2, 4))

    def copies(one):
        return jax.jit(jax.vmap(jax.vmap(one, in_axes=(None, 0, None)), in_axes=(0, 0, None)))

    got = copies(lambda x, key, spread: noise_fold(x, key, spread, implementation=form))(x, keys, jnp.float32(0.3))
    np.testing.assert_array_equal(got, copies(plain)(x, keys, jnp.float32(0.3)))


@pytest.mark.parametrize("form", FORMS)
def test_the_derivatives_are_one_and_the_noise(form):
    x, key = jnp.ones((5, 3)), jax.random.key(7)
    of_x, of_spread = jax.grad(lambda x, spread: noise_fold(x, key, spread, implementation=form).sum(), (0, 1))(
        x, jnp.float32(0.1)
    )
    np.testing.assert_array_equal(of_x, np.ones((5, 3)))
    np.testing.assert_allclose(of_spread, jax.random.normal(key, (5, 3)).sum(), rtol=1e-5)


def test_the_cast_comes_last():
    x, key, spread = jnp.ones(9), jax.random.key(1), jnp.float32(0.1)
    got = noise_fold(x, key, spread, dtype=jnp.bfloat16)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got, noise_fold(x, key, spread).astype(jnp.bfloat16))


def test_other_dtypes_and_generators_keep_jaxs_numbers_and_say_why(x64):
    for dtype in (jnp.float64, jnp.bfloat16):
        x, key, spread = jnp.ones(3, dtype), jax.random.key(0), jnp.array(2, dtype)
        np.testing.assert_array_equal(noise_fold(x, key, spread), plain(x, key, spread))
        with pytest.raises(NotImplementedError, match="noise is made of other bits"):
            noise_fold(x, key, spread, implementation="unrolled")
    x, key, spread = jnp.ones(3, jnp.float32), jax.random.key(0, impl="rbg"), jnp.float32(2)
    np.testing.assert_array_equal(noise_fold(x, key, spread), plain(x, key, spread))
    with pytest.raises(NotImplementedError, match="the generator is rbg"):
        noise_fold(x, key, spread, implementation="unrolled")
    with jax.threefry_partitionable(False):
        x, key = jnp.ones(3, jnp.float32), jax.random.key(0)
        np.testing.assert_array_equal(noise_fold(x, key, spread), plain(x, key, spread))
        with pytest.raises(NotImplementedError, match="not partitionable"):
            noise_fold(x, key, spread, implementation="unrolled")
