"""Noisy copies of an example and gradients there: what SmoothGrad and its relatives reduce."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.scipy.special import ndtri

from jaxplain._typing import Array, ScoreFn
from jaxplain.core.gradient import input_gradient
from jaxplain.core.ops import noise_fold
from jaxplain.core.sampling import Moments, relative_norm, sample_key, wide


def noisy_copies(x: Array, key: Array, sigma: Array | float) -> Callable[[Array], Array]:
    """Return the function ``i -> x + noise_i``.

    The noise is Gaussian with standard deviation ``sigma * (x.max() - x.min())`` and depends on the key and the
    sample's number alone.

    Args:
        x: The example.
        key: Key of the image.
        sigma: Fraction of the example's range.
    """
    spread = jnp.asarray(sigma, x.dtype) * (jnp.max(x) - jnp.min(x))
    return lambda sample: noise_fold(x, sample_key(key, sample), spread)


def noisy_gradient(f: ScoreFn, x: Array, key: Array, sigma: Array | float) -> Callable[[Array], Array]:
    """Return the function ``i -> df/dx(x + noise_i)``, with the noise of ``noisy_copies``.

    Args:
        f: Score of one example.
        x: The example.
        key: Key of the image.
        sigma: Fraction of the example's range.
    """
    pull, copy = input_gradient(f), noisy_copies(x, key, sigma)
    return lambda sample: pull(copy(sample))


def relative_standard_error(moments: Moments, map_axes: int) -> Array:
    """Return, per score, the norm of the mean map's standard error over the norm of the mean map.

    ``sqrt(sum_p s_p^2 / n) / sqrt(sum_p mean_p^2)`` with the unbiased sample variance s^2; NaN for fewer than two
    samples, infinity for a mean of zero that has an error.

    Args:
        moments: Moments of the maps ``(*t, *in)``.
        map_axes: Number of axes of one map.
    """
    over = tuple(range(-map_axes, 0))
    count = moments.n.astype(moments.mean.dtype)
    variance_of_mean = jnp.sum(moments.m2, axis=over) / ((count - 1) * count)
    return relative_norm(variance_of_mean, jnp.sum(jnp.square(moments.mean), axis=over))


def spread_in_range(
    x: Array, sigma: Array | float, *, outside: Array | float, low: Array | None = None, high: Array | None = None
) -> Array:
    """Return the noise's standard deviation per pixel, lowered where the noise would often leave the valid range.

    ``min(sigma (max x - min x), min(x - low, high - x) / q)`` with the normal quantile q at ``1 - outside / 2``: half
    of ``outside`` lies beyond q on either side, and both bounds are at that distance or further.

    Args:
        x: The example.
        sigma: Fraction of the example's range.
        outside: Largest probability with which a pixel may leave [low, high]; 1 leaves sigma as it is.
        low: Lowest valid values, x.min() by default.
        high: Highest valid values, x.max() by default.

    References:
        Zhou, Ma, Wang, Wu and Shi 2024, AdaptGrad, arXiv:2410.07711.

    Example:
        >>> spread_in_range(jnp.array([0.0, 1.0, 4.0]), 0.5, outside=0.05).round(2)
        Array([0.  , 0.51, 0.  ], dtype=float32)
    """
    values = wide(x)
    spread = jnp.asarray(sigma, values.dtype) * (jnp.max(values) - jnp.min(values))
    lowest = jnp.min(values) if low is None else jnp.broadcast_to(jnp.asarray(low, values.dtype), x.shape)
    highest = jnp.max(values) if high is None else jnp.broadcast_to(jnp.asarray(high, values.dtype), x.shape)
    room = jnp.maximum(jnp.minimum(values - lowest, highest - values), 0)
    quantile = -ndtri(jnp.asarray(outside, values.dtype) / 2)
    within = spread * quantile <= room
    return jnp.where(within, spread, room / jnp.where(within, 1, quantile)).astype(x.dtype)
