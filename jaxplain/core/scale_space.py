"""Scale space: an example blurred ever more, along every axis but the channels.

Blurring by a Gaussian is diffusion, and on a grid diffusion has a kernel of its own, the discrete analogue of the
Gaussian, of variance sigma^2 exactly. Its images at all sigmas keep what makes a scale space: blurring twice is
blurring once, no extremum is enhanced, the sum stays. Sampled Gaussians keep these in the limit alone; at a sigma of 5
the two kernels differ by half a percent of their peak. Beyond the edges the example is mirrored, so that infinite blur
gives the mean of each channel.

In the basis of cosines diffusion is a multiplication, so an example is brought there once, and every image of it takes
one way back.

References:
    Lindeberg 1990, Scale-space for discrete signals, doi:10.1109/34.49051.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain._pytree import pytree
from jaxplain._typing import Array
from jaxplain.core.sampling import wide

LONGEST_MATRIX = 4096
"""Longest axis for which the basis is held as a matrix (64 MiB), which is faster than the fast transform on images."""


@pytree
class ScaleSpace:
    """An example at all scales.

    Args:
        coefficients: Those of the example in the basis of cosines, float32 or wider.

    Example:
        >>> space = ScaleSpace.of(jnp.array([[1.0], [3.0], [5.0]]))
        >>> space.blurred(jnp.float32(100.0)).round(4).ravel()
        Array([3., 3., 3.], dtype=float32)
    """

    coefficients: Array

    @classmethod
    def of(cls, x: Array) -> "ScaleSpace":
        """Return the scale space of an example, whose last axis are channels."""
        coefficients = wide(x)
        for axis in range(x.ndim - 1):
            coefficients = _to_cosines(coefficients, axis)
        return cls(coefficients)

    def blurred(self, sigma: Array) -> Array:
        """Return the image at one scale.

        Args:
            sigma: Standard deviation of the kernel in pixels; 0 gives the example.
        """
        return self._image(self._decay(sigma))

    def change(self, first: Array, last: Array) -> Array:
        """Return the image at the scale ``last`` less that at ``first``."""
        return self._image(self._decay(last) - self._decay(first))

    def _decay(self, sigma: Array) -> Array:
        shape, dtype = self.coefficients.shape, self.coefficients.dtype
        decay = jnp.ones((), dtype)
        for axis, size in enumerate(shape[:-1]):
            rate = jnp.asarray(2 - 2 * np.cos(np.pi * np.arange(size) / size), dtype)
            along = tuple(size if other == axis else 1 for other in range(len(shape)))
            decay = decay * jnp.exp(-0.5 * jnp.square(sigma.astype(dtype)) * rate).reshape(along)
        return decay

    def _image(self, decay: Array) -> Array:
        image = self.coefficients * decay
        for axis in range(image.ndim - 1):
            image = _from_cosines(image, axis)
        return image


def _to_cosines(values: Array, axis: int) -> Array:
    size = values.shape[axis]
    if size > LONGEST_MATRIX:
        return jax.scipy.fft.dct(values, axis=axis, norm="ortho")
    return _along(values, _cosines(size), axis)


def _from_cosines(values: Array, axis: int) -> Array:
    size = values.shape[axis]
    if size > LONGEST_MATRIX:
        return jax.scipy.fft.idct(values, axis=axis, norm="ortho")
    return _along(values, _cosines(size).T, axis)


def _along(values: Array, matrix: np.ndarray, axis: int) -> Array:
    exact = lax.Precision.HIGHEST  # products in TF32 would show in the image
    product = jnp.tensordot(jnp.asarray(matrix, values.dtype), values, axes=(1, axis), precision=exact)
    return jnp.moveaxis(product, 0, axis)


def _cosines(size: int) -> np.ndarray:
    """Return the orthonormal basis of mirrored signals, a wave per row (the second kind of cosine transform)."""
    waves = np.cos(np.pi * np.outer(np.arange(size), np.arange(size) + 0.5) / size) * np.sqrt(2 / size)
    waves[0] = np.sqrt(1 / size)
    return waves
