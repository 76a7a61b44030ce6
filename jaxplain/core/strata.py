"""Stratified random numbers: each is uniform by itself, and together they are spread evenly."""

import jax
import jax.numpy as jnp

from jaxplain._typing import Array


def latin_pairs(key: Array, n: int) -> tuple[Array, Array]:
    """Draw n points of the unit square, one in each of n equal columns and one in each of n equal rows.

    What depends on one of the two coordinates alone is averaged with hardly any error; at worst a mean's variance is
    n / (n - 1) times that of independent points.

    Args:
        key: Typed key of these points.
        n: Number of points; a single one is uniform.

    Returns:
        Both coordinates ``(n,)``, float32, in [0, 1); the second ones ascend.

    References:
        McKay, Beckman and Conover 1979, A comparison of three methods for selecting values of input variables in the
        analysis of output from a computer code, doi:10.2307/1268522. Owen 1997, Monte Carlo variance of scrambled net
        quadrature, doi:10.1137/S0036142994277468 (the bound).

    Example:
        >>> first, second = latin_pairs(jax.random.key(0), 4)
        >>> sorted((first * 4).astype(int).tolist()), (second * 4).astype(int).tolist()
        ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    order_key, first_key, second_key = jax.random.split(key, 3)
    numbers = jnp.arange(n, dtype=jnp.float32)
    order = jax.random.permutation(order_key, numbers)
    first = order + jax.random.uniform(first_key, (n,), jnp.float32)
    second = numbers + jax.random.uniform(second_key, (n,), jnp.float32)
    below_one = jnp.float32(1 - jnp.finfo(jnp.float32).epsneg)
    return jnp.minimum(first / n, below_one), jnp.minimum(second / n, below_one)
