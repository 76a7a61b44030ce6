"""Baselines: what an erased pixel, or the start of a path, looks like.

A method takes its baseline as an array. Where it depends on the image, pass one of these instead; the engine calls it
with each image, and with that image's key. All are in the units of the network's input. ``imputation.NoisyLinear``
depends on what is hidden as well, and is for methods that hide parts.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array


class Baseline(Protocol):
    """Anything callable that is a pytree: one example, and its key, to an array of the example's shape.

    Register a class of your own by ``jax.tree_util.register_pytree_with_keys``: two that ``register_dataclass`` has
    registered are alike to JAX where they have as many leaves, and it may take one's program for the other's.
    """

    def __call__(self, x: Array, key: Array | None, /) -> Array:
        """Return the baseline of one example."""
        ...


def like_example(baseline: Array | float, x: Array) -> Array:
    """Return a baseline in the shape and dtype of the example.

    Args:
        baseline: A number, or an array that broadcasts against the example.
        x: The example.
    """
    return jnp.broadcast_to(jnp.asarray(baseline, x.dtype), x.shape)


@pytree
class Constant:
    """One value everywhere, one per channel, or a whole image, such as the data set's mean image.

    Args:
        value: Broadcast against the example.

    Example:
        >>> Constant(0.5)(jnp.ones((1, 2)), None)
        Array([[0.5, 0.5]], dtype=float32)
    """

    value: Array | float = 0.0

    def __call__(self, x: Array, key: Array | None) -> Array:
        return jnp.broadcast_to(
            jnp.asarray(self.value, x.dtype).reshape((1,) * (x.ndim - jnp.ndim(self.value)) + jnp.shape(self.value)),
            x.shape,
        )


@pytree
class ChannelMean:
    """The image's own mean, channel by channel.

    Example:
        >>> ChannelMean()(jnp.array([[[1.0]], [[3.0]]]), None).ravel()
        Array([2., 2.], dtype=float32)
    """

    def __call__(self, x: Array, key: Array | None) -> Array:
        return jnp.broadcast_to(jnp.mean(x, axis=tuple(range(x.ndim - 1)), keepdims=True), x.shape)


@pytree
class Blur:
    """The image blurred by a Gaussian along every axis but the channels, edges repeated.

    Args:
        sigma: Standard deviation in pixels, above 0; decides the kernel's size, 4 sigma to either side.

    Raises:
        InputError: When called with a sigma that is not above 0.

    Example:
        >>> Blur(1.0)(jnp.ones((5, 5, 1)), None).shape
        (5, 5, 1)
    """

    sigma: float = static(default=5.0)

    def __call__(self, x: Array, key: Array | None) -> Array:
        if not self.sigma > 0:
            raise InputError(f"Blur: sigma = {self.sigma} must be above 0, in pixels.")
        radius = max(1, int(np.ceil(4 * self.sigma)))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.sigma) ** 2)
        kernel /= kernel.sum()
        for axis in range(x.ndim - 1):
            x = _blur_axis(x, jnp.asarray(kernel, x.dtype), axis)
        return x


@pytree
class Noise:
    """Gaussian noise around the image's channel means.

    Args:
        sigma: Standard deviation as a fraction of x.max() - x.min().

    Example:
        >>> Noise(0.1)(jnp.ones((2, 2, 1)), jax.random.key(0)).shape
        (2, 2, 1)
    """

    sigma: Array | float = 0.2

    def __call__(self, x: Array, key: Array | None) -> Array:
        if key is None:
            raise InputTypeError("Noise: the baseline is random and needs a key; pass key=jax.random.key(0).")
        spread = jnp.asarray(self.sigma, x.dtype) * (jnp.max(x) - jnp.min(x))
        return ChannelMean()(x, None) + spread * jax.random.normal(key, x.shape, x.dtype)


def _blur_axis(x: Array, kernel: Array, axis: int) -> Array:
    radius = kernel.shape[0] // 2
    lines = jnp.moveaxis(x, axis, -1)
    padded = jnp.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(radius, radius)], mode="edge")
    blurred = jax.vmap(lambda line: jnp.convolve(line, kernel, mode="valid"))(padded.reshape(-1, padded.shape[-1]))
    return jnp.moveaxis(blurred.reshape(lines.shape), -1, axis)
