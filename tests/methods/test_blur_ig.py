"""Blur IG: scale space against SciPy, the path against a NumPy loop, and how the gap falls."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.special import ive

from jaxplain import InputError, Logits, Score
from jaxplain.core import scale_space
from jaxplain.core.scale_space import ScaleSpace
from jaxplain.methods import blur_ig, blur_ig_with_diagnostics
from jaxplain.testing import smooth_network, tol
from jaxplain.testing.networks import images

IMAGE = np.random.default_rng(0).normal(size=(9, 12, 2))


def diffused(image, sigma):
    """The discrete analogue of the Gaussian, exp(-t) I_n(t) with t = sigma^2, along both axes, edges mirrored."""
    radius = int(np.ceil(8 * sigma + 12))
    kernel = ive(np.abs(np.arange(-radius, radius + 1)), sigma**2)
    for axis in (0, 1):
        image = convolve1d(image, kernel, axis=axis, mode="reflect")
    return image


@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0, 4.0])
def test_an_image_at_a_scale_is_the_example_diffused(x64, sigma):
    """Also where the kernel is longer than the image."""
    space = ScaleSpace.of(jnp.asarray(IMAGE))
    want = diffused(IMAGE, sigma)
    np.testing.assert_allclose(space.blurred(jnp.asarray(sigma)), want, **tol(np.float64, terms=200))
    change = space.change(jnp.asarray(4.0), jnp.asarray(sigma))
    np.testing.assert_allclose(change, want - diffused(IMAGE, 4.0), **tol(np.float64, terms=200))


def test_wide_blur_is_that_of_a_sampled_gaussian(x64):
    """The kernels' relative difference is (z^4 - 6 z^2 + 3) / (24 sigma^2), 1 / (8 sigma^2) of the peak at most."""
    line = np.zeros((101, 1))
    line[50] = 1
    got = ScaleSpace.of(jnp.asarray(line)).blurred(jnp.asarray(5.0))
    want = gaussian_filter1d(line, 5.0, axis=0, mode="reflect", truncate=9)
    assert 0.8 < np.abs(got - want).max() / (want.max() / (8 * 5.0**2)) < 1.2


def test_long_axes_are_transformed_without_a_matrix(x64, monkeypatch):
    want = ScaleSpace.of(jnp.asarray(IMAGE)).blurred(jnp.asarray(1.3))
    monkeypatch.setattr(scale_space, "LONGEST_MATRIX", 10)
    got = ScaleSpace.of(jnp.asarray(IMAGE)).blurred(jnp.asarray(1.3))
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=200))


def test_it_is_the_loop_over_scales(x64):
    """Of a cubic form, whose gradient is known; two scores, in chunks."""
    draw = np.random.default_rng(1)
    cubic, linear = draw.normal(size=IMAGE.shape), draw.normal(size=IMAGE.shape)
    n, sigmas = 5, [3.0 * (j / 5) ** 2 for j in range(6)]
    want = np.zeros((2, *IMAGE.shape))
    for j in range(n):
        middle = diffused(IMAGE, 3.0 * ((j + 0.5) / n) ** 2)
        step = diffused(IMAGE, sigmas[j]) - diffused(IMAGE, sigmas[j + 1])
        want += np.stack([3 * cubic * middle**2, linear]) * step
    f = lambda x: jnp.stack([jnp.sum(cubic * x**3), jnp.sum(linear * x)])  # noqa: E731
    got, figures = jax.jit(lambda x: blur_ig_with_diagnostics(f, x, max_sigma=3.0, n_steps=n, chunk=2))(IMAGE)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=1000))
    change = f(jnp.asarray(IMAGE)) - f(jnp.asarray(diffused(IMAGE, 3.0)))
    left, size = want.sum(axis=(1, 2, 3)) - change, float(np.abs(change).max())
    np.testing.assert_allclose(figures["gap"], left, **tol(np.float64, terms=1000, scale=size))


def test_the_gap_falls_with_the_square_of_the_steps(x64):
    """By four from one number of steps to its double, within a tenth once steps are small."""
    f, x = Score(smooth_network(), Logits(jnp.array([0, 3]))), jnp.asarray(images(1)[0], jnp.float64)

    def gap(n):
        return np.asarray(blur_ig_with_diagnostics(f, x, max_sigma=6.0, n_steps=n, chunk=20)[1]["gap"])

    few, many = gap(40), gap(80)
    np.testing.assert_allclose(few / many, 4, rtol=0.1)


def test_volumes_and_signals_are_blurred_along_all_axes_but_the_last(x64):
    for shape in ((20, 1), (4, 5, 6, 2)):
        x = jnp.asarray(np.random.default_rng(2).normal(size=shape))
        got = blur_ig(jnp.sum, x, max_sigma=100.0, n_steps=2)
        want = x - jnp.mean(x, axis=tuple(range(x.ndim - 1)), keepdims=True)
        np.testing.assert_allclose(got, want, **tol(np.float64, terms=200))


def test_an_example_without_a_channel_axis_is_refused():
    with pytest.raises(InputError, match=r"no axis to blur along.*shape \(5, 1\)"):
        blur_ig(jnp.sum, jnp.ones(5))


def test_memory_does_not_grow_with_the_number_of_steps():
    def bytes_for(n_steps):
        run = jax.jit(lambda x: blur_ig(lambda x: jnp.sum(jnp.tanh(x)), x, n_steps=n_steps, chunk=4))
        return run.lower(jnp.ones((64, 64, 1))).compile().memory_analysis().temp_size_in_bytes

    assert bytes_for(4000) <= 1.05 * bytes_for(40)
