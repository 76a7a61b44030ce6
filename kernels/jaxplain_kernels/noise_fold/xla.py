"""Threefry with its twenty rounds in one elementwise expression, and normal numbers made of its bits as JAX does."""

from math import prod, sqrt

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def normal(key: Array, shape: tuple[int, ...]) -> Array:
    """Return ``jax.random.normal(key, shape)`` in float32, to the bit.

    Number i is made from the counter i, as long as Threefry is partitionable (JAX's default).
    """
    count = prod(shape)
    size = -(-count // 2)
    words = jax.random.key_data(key)

    def half(number: Array, found: Array) -> Array:
        first = number * jnp.int32(count - size)  # of an odd count both halves make the middle one
        counters = first.astype(jnp.uint32) + lax.iota(jnp.uint32, size)
        return lax.dynamic_update_slice(found, _uniform(_bits(words, counters)), (first,))

    uniform = lax.fori_loop(jnp.int32(0), jnp.int32(2), half, jnp.zeros(count, jnp.float32))
    return jnp.float32(sqrt(2)) * lax.erf_inv(uniform.reshape(shape))


def _bits(words: Array, counters: Array) -> Array:
    """Return 32 bits per counter (Salmon et al. 2011, doi:10.1145/2063384.2063405)."""
    schedule = (words[0], words[1], words[0] ^ words[1] ^ jnp.uint32(PARITY))
    left, right = jnp.broadcast_to(schedule[0], counters.shape), counters + schedule[1]
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            left = left + right
            right = left ^ ((right << jnp.uint32(by)) | (right >> jnp.uint32(32 - by)))
        left = left + schedule[(group + 1) % 3]
        right = right + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return left ^ right


def _uniform(bits: Array) -> Array:
    """Return numbers in (-1, 1): 23 bits become the mantissa of a number in [1, 2), which is stretched."""
    lowest = jnp.float32(-1 + 2**-24)
    ones = lax.bitcast_convert_type((bits >> jnp.uint32(9)) | jnp.uint32(0x3F800000), jnp.float32)
    return jnp.maximum(lowest, (ones - jnp.float32(1)) * (jnp.float32(1) - lowest) + lowest)
