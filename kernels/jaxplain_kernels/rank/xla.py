"""Ranks by sorting order-preserving integer keys: beside their positions, or packed with them into one word."""

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def keys(scores: Array) -> Array:
    """Return unsigned integers of the scores' width that rise where the scores fall.

    Zeros of both signs have one key and NaN the largest. Made from the bits alone, so that subnormal numbers stay
    apart, as in NumPy; XLA's comparison of floats takes them for zeros on CPUs.
    """
    scores = lax.stop_gradient(scores)
    width = jnp.iinfo if jnp.issubdtype(scores.dtype, jnp.integer) else jnp.finfo
    word = jnp.dtype(f"uint{width(scores.dtype).bits}")
    sign, ones = jnp.array(1 << (width(scores.dtype).bits - 1), word), jnp.array(jnp.iinfo(word).max, word)
    bits = lax.bitcast_convert_type(scores, word)
    if jnp.issubdtype(scores.dtype, jnp.unsignedinteger):
        return ~bits
    if jnp.issubdtype(scores.dtype, jnp.integer):
        return ~(bits ^ sign)
    bits = jnp.where(bits == sign, jnp.zeros((), word), bits)
    falling = jnp.where(bits >= sign, bits, ones ^ sign ^ bits)
    return jnp.where(jnp.isnan(scores), ones, falling)


def by_argsort(scores: Array) -> Array:
    """Sort the keys beside their positions."""
    return _inverse(jnp.argsort(keys(scores), axis=-1, stable=True))


def by_packed_words(scores: Array, word: int) -> Array:
    """Sort words of ``word`` bits, the key above and the position below.

    No two words are equal, so no tie is left to the sort, and XLA:CPU sorts one operand by a plain comparison several
    times as fast as keys beside positions. Without ``jax_enable_x64``, words of 64 bits exist between these lines only.
    """
    with jax.enable_x64(True):
        dtype = jnp.dtype(f"uint{word}")
        key = keys(scores)
        above = jnp.array(word - 8 * key.dtype.itemsize, dtype)
        words = (key.astype(dtype) << above) | lax.broadcasted_iota(dtype, key.shape, key.ndim - 1)
        # All words differ, so any sort is stable; XLA:CPU's stable one is the faster (19 against 30 ms for 8 x 50,176).
        words = lax.sort(words, is_stable=True)
        order = (words & ((jnp.array(1, dtype) << above) - jnp.array(1, dtype))).astype(jnp.int32)
    return _inverse(order)


def _inverse(order: Array) -> Array:
    """Return the inverse permutation of each row."""
    rows = order.reshape(-1, order.shape[-1])
    numbers = lax.iota(jnp.int32, rows.shape[1])

    def scatter(row: Array) -> Array:
        return jnp.zeros(row.shape, jnp.int32).at[row].set(numbers, unique_indices=True, mode="promise_in_bounds")

    return jax.vmap(scatter)(rows).reshape(order.shape)
