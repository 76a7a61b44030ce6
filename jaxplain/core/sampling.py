"""The one loop over samples, steps and masks.

``reduce_over`` evaluates ``fn(0) ... fn(n - 1)`` in chunks, ``vmap`` inside a chunk and ``scan`` over chunks, and
keeps a running result only, in float32 or wider: memory grows with the chunk, not with n. Sample i depends on i alone,
so chunking changes a result by rounding at most.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain._errors import InputError
from jaxplain._typing import Array, PyTree
from jaxplain.core.ops import add_up, highest, merge_moments

DEFAULT_CHUNK = 8


class Moments(NamedTuple):
    """Number of samples, their mean and the sum of squared deviations from it."""

    n: Array
    mean: PyTree
    m2: PyTree


class Reducer(Protocol):
    """A streaming reduction of a pytree of sample values."""

    def init(self, like: PyTree) -> PyTree:
        """Return the state before the first sample; ``like`` has one sample's shape, in the accumulator's dtype."""
        ...

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        """Take in a chunk of values, of which those that are not valid are padding."""
        ...

    def result(self, state: PyTree, n: Array | int) -> PyTree:
        """Return the reduction of n samples."""
        ...


class _Total:
    def init(self, like: PyTree) -> PyTree:
        return like

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        return jax.tree.map(lambda total, value: total + add_up(_keep(value, valid)), state, values)

    def result(self, state: PyTree, n: Array | int) -> PyTree:
        return state


class _Mean(_Total):
    def result(self, state: PyTree, n: Array | int) -> PyTree:
        return jax.tree.map(lambda total: total / jnp.asarray(n, total.dtype), state)


class _Moments:
    def init(self, like: PyTree) -> PyTree:
        return jnp.zeros((), jnp.float32), like, like

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        count, mean, m2 = state
        merged = jax.tree.map(
            lambda own, own_m2, value: merge_moments((count, own, own_m2), value, valid), mean, m2, values
        )
        outer, inner = jax.tree.structure(mean), jax.tree.structure((0, 0, 0))
        _, mean, m2 = jax.tree.transpose(outer, inner, merged)
        return count + jnp.sum(valid).astype(count.dtype), mean, m2

    def result(self, state: PyTree, n: Array | int) -> Moments:
        return Moments(*state)


class _Largest:
    def init(self, like: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, -jnp.inf), like)

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        def larger(best: Array, value: Array) -> Array:
            hidden = jnp.where(_like(valid, value), value, -jnp.inf)
            return jnp.maximum(best, highest(hidden))

        return jax.tree.map(larger, state, values)

    def result(self, state: PyTree, n: Array | int) -> PyTree:
        return state


class _Weighted:
    def init(self, like: PyTree) -> PyTree:
        return like

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        sums, weight_sum = state
        tree, weights = values
        weights = jnp.where(valid, weights, 0.0)
        sums = jax.tree.map(
            lambda total, value: total + add_up(_like(weights.astype(total.dtype), value) * _keep(value, valid)),
            sums,
            tree,
        )
        return sums, weight_sum + jnp.sum(weights)

    def result(self, state: PyTree, n: Array | int) -> PyTree:
        sums, weight_sum = state
        return jax.tree.map(lambda total: total / weight_sum.astype(total.dtype), sums)


total: Reducer = _Total()
"""Sum of the samples."""
mean: Reducer = _Mean()
"""Mean of the samples."""
moments: Reducer = _Moments()
"""Count, mean and sum of squared deviations, merged chunk by chunk (Chan, Golub and LeVeque 1983,
doi:10.2307/2683386)."""
largest: Reducer = _Largest()
"""Largest value of every entry."""
weighted: Reducer = _Weighted()
"""Weighted mean; ``fn`` returns ``(values, weight)``."""


def reduce_over(fn: Callable[[Array], PyTree], n: int, how: Reducer, *, chunk: int | None = None) -> PyTree:
    """Reduce ``fn(0), ..., fn(n - 1)`` without holding them all.

    Args:
        fn: Function of the sample number, an int32 scalar; returns a pytree of arrays.
        n: Number of samples, at least 1.
        how: ``total``, ``mean``, ``moments``, ``largest`` or ``weighted``.
        chunk: Samples evaluated together; none means at most 8. Chunks are evened out, so that little is padded.

    Returns:
        What the reducer gives, in float32 or wider.

    Raises:
        InputError: n or chunk is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> float(reduce_over(lambda i: i.astype(jnp.float32), 5, total, chunk=2))
        10.0
    """
    if n < 1 or (chunk is not None and chunk < 1):
        raise InputError(f"reduce_over: n = {n} and chunk = {chunk} must be at least 1.")
    size = even_chunk(n, chunk)
    n_chunks = math.ceil(n / size)

    def evaluate(first: Array) -> tuple[PyTree, Array]:
        return _evaluate(fn, size, first, n)

    if n_chunks == 1:
        values, valid = evaluate(jnp.int32(0))
        return how.result(how.update(_start(how, values), values, valid), n)

    # JAX remembers the trace of the inlined function, so the one for its shapes serves the loop as well.
    chunk_at = jax.jit(evaluate, inline=True)

    def step(carried: tuple[PyTree, Array], _: None) -> tuple[tuple[PyTree, Array], None]:
        state, first = carried
        return (how.update(state, *chunk_at(first)), first + size), None

    shapes, _ = jax.eval_shape(chunk_at, jnp.int32(0))
    (state, _), _ = lax.scan(step, (_start(how, shapes), jnp.int32(0)), None, length=n_chunks)
    return how.result(state, n)


def continue_over(
    fn: Callable[[Array], PyTree], how: Reducer, state: PyTree, first: Array, stop: Array, *, chunk: int
) -> PyTree:
    """Take ``fn(first), ..., fn(stop - 1)`` into a reducer's state.

    Both numbers may be traced, so one program serves rounds of all sizes; derivatives through it cannot be had then.

    Args:
        fn: As in ``reduce_over``.
        how: The reducer.
        state: What an earlier call returned for the samples before ``first``; not read where ``first`` is 0, and then
            it may be None.
        first: Number of the first sample, an int32 scalar.
        stop: Number after the last one, above ``first``.
        chunk: Samples evaluated together.

    Returns:
        The state, from which ``how.result(state, stop)`` makes the result.

    Example:
        >>> import jax.numpy as jnp
        >>> fn, three, five = (lambda i: i.astype(jnp.float32)), jnp.int32(3), jnp.int32(5)
        >>> state = continue_over(fn, total, None, jnp.int32(0), three, chunk=2)
        >>> float(continue_over(fn, total, state, three, five, chunk=2))
        10.0
    """

    def evaluate(begin: Array, stop: Array) -> tuple[PyTree, Array]:
        return _evaluate(fn, chunk, begin, stop)

    chunk_at = jax.jit(evaluate, inline=True)
    shapes, _ = jax.eval_shape(chunk_at, first, stop)
    fresh = _start(how, shapes)
    if state is not None:
        fresh = jax.tree.map(lambda new, old: jnp.where(first == 0, new, old), fresh, state)

    def step(number: Array, state: PyTree) -> PyTree:
        return how.update(state, *chunk_at(first + number * chunk, stop))

    n_chunks = (stop - first + (chunk - 1)) // chunk
    return lax.fori_loop(jnp.int32(0), n_chunks, step, fresh)


def even_chunk(n: int, chunk: int | None) -> int:
    """Return the size of the chunks, at most ``chunk`` or else 8, that n samples are cut into with little padding."""
    return math.ceil(n / math.ceil(n / min(n, chunk or DEFAULT_CHUNK)))


def _evaluate(fn: Callable[[Array], PyTree], size: int, first: Array, stop: Array | int) -> tuple[PyTree, Array]:
    """Return a chunk of samples, and which of them come before ``stop``; the others repeat the last one."""
    numbers = first + jnp.arange(size, dtype=jnp.int32)
    values = jax.vmap(fn)(jnp.minimum(numbers, stop - 1))
    return jax.tree.map(wide, values), numbers < stop


def _start(how: Reducer, chunk: PyTree) -> PyTree:
    """Return the state before the first sample, by the shapes of a chunk."""
    return how.init(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), chunk))


def image_key(key: Array, image_id: Array) -> Array:
    """Fold an image's 64-bit id, given as two 32-bit words, into a key."""
    return jax.random.fold_in(jax.random.fold_in(key, image_id[0]), image_id[1])


def sample_key(key: Array, sample: Array) -> Array:
    """Fold a sample's number into an image's key."""
    return jax.random.fold_in(key, sample)


def _accumulator(dtype: jnp.dtype) -> jnp.dtype:
    wide = jnp.issubdtype(dtype, jnp.inexact) and jnp.dtype(dtype).itemsize >= 4
    return jnp.dtype(dtype) if wide else jnp.dtype(jnp.float32)


def wide(value: Array) -> Array:
    """Return a value in the dtype that sums are kept in: its own, or float32 where that is wider."""
    return value.astype(_accumulator(value.dtype))


def magnitude(values: Array) -> Array:
    """Return the largest absolute value, or 1 for zeros, as a constant to divide by before taking powers.

    It counts as a constant in derivatives, so use it only where it cancels.
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(values)))
    return jnp.where(largest == 0, 1, largest)


def relative_norm(squared_error: Array, squared_size: Array) -> Array:
    """Return the norm of an error over that of a map, from their squares; zero where there is no error.

    Args:
        squared_error: Sum of the squared errors of a map's entries, per score.
        squared_size: Sum of the squared entries.
    """
    return jnp.where(squared_error == 0, 0.0, jnp.sqrt(squared_error) / jnp.sqrt(squared_size))


def _like(valid: Array, value: Array) -> Array:
    return valid.reshape(valid.shape + (1,) * (value.ndim - 1))


def _keep(value: Array, valid: Array) -> Array:
    return jnp.where(_like(valid, value), value, 0)
