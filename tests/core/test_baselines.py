"""Baselines: each by NumPy or SciPy, in the dtype and shape of the example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from jaxplain._errors import InputError, InputTypeError
from jaxplain.core.baselines import Blur, ChannelMean, Constant, Noise
from jaxplain.testing import tol

IMAGE = np.random.default_rng(0).normal(size=(9, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("value", [0.5, np.arange(3.0), np.full((12, 3), 2.0), IMAGE], ids=lambda v: str(np.shape(v)))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_constant_broadcasts_in_the_examples_dtype(value, dtype):
    got = Constant(value)(jnp.asarray(IMAGE, dtype), None)
    assert got.dtype == dtype and got.shape == IMAGE.shape
    np.testing.assert_allclose(
        got.astype(jnp.float32), np.broadcast_to(value, IMAGE.shape), rtol=float(jnp.finfo(dtype).eps)
    )


def test_channel_mean():
    got = ChannelMean()(jnp.asarray(IMAGE), None)
    np.testing.assert_allclose(got, np.broadcast_to(IMAGE.mean(axis=(0, 1)), IMAGE.shape), **tol(np.float32, terms=108))


@pytest.mark.parametrize("sigma", [0.2, 1.0, 5.0])
def test_blur_is_scipys_gaussian_with_edges_repeated(x64, sigma):
    """Also where the kernel is longer than the image."""
    radius = max(1, int(np.ceil(4 * sigma)))
    want = np.asarray(IMAGE, np.float64)
    for axis in (0, 1):
        want = gaussian_filter1d(want, sigma, axis=axis, mode="nearest", radius=radius)
    np.testing.assert_allclose(Blur(sigma)(jnp.asarray(IMAGE, jnp.float64), None), want, **tol(np.float64, terms=400))


def test_blur_works_on_signals_and_volumes_and_refuses_no_width():
    for shape in ((20, 2), (4, 5, 6, 2)):
        np.testing.assert_allclose(Blur(1.0)(jnp.ones(shape), None), np.ones(shape), **tol(np.float32, terms=9))
    with pytest.raises(InputError, match="sigma = 0"):
        Blur(0.0)(jnp.asarray(IMAGE), None)


def test_noise_has_the_stated_spread_around_the_channel_means():
    """Mean and variance of 30,000 normal numbers: each outside of 6 standard errors with probability 2e-9."""
    x = jnp.asarray(np.broadcast_to(np.float32([1, 5]), (100, 150, 2)))
    noise = np.asarray(Noise(0.5)(x, jax.random.key(0)), np.float64) - np.asarray(x)
    n, sigma = noise.size, 0.5 * 4
    assert abs(noise.mean()) < 6 * sigma / np.sqrt(n)
    assert abs(noise.var() / sigma**2 - 1) < 6 * np.sqrt(2 / n)
    np.testing.assert_array_equal(Noise(0.5)(x, jax.random.key(0)), Noise(0.5)(x, jax.random.key(0)))
    with pytest.raises(InputTypeError, match=r"key=jax\.random\.key\(0\)"):
        Noise(0.5)(x, None)
