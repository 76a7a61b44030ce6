"""A total that adds one sample after the other, for samples much larger than a map.

XLA:CPU sums over the axis of a chunk at 1 GB/s: 25 ms for eight cotangents of a ResNet's stem, half as long as one
gradient of ResNet-18. Added in a loop they take 1 ms (jaxlib 0.10.2).
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain._typing import Array, PyTree
from jaxplain.core.sampling import Reducer


class _OneByOne:
    def init(self, like: PyTree) -> PyTree:
        return like

    def update(self, state: PyTree, values: PyTree, valid: Array) -> PyTree:
        return jax.tree.map(lambda total, value: total + _added(value, valid.astype(value.dtype)), state, values)

    def result(self, state: PyTree, n: int) -> PyTree:
        return state


one_by_one: Reducer = _OneByOne()
"""Sum of the samples, as ``total`` gives it."""


@jax.custom_jvp
def _added(values: Array, weights: Array) -> Array:
    """Return ``sum_i weights_i values_i``, where a weight is 1, or 0 for padding."""

    def add(i: Array, found: Array) -> Array:
        own = lax.dynamic_index_in_dim(values, i, keepdims=False)
        return found + jnp.where(weights[i] > 0, own, 0)

    return lax.fori_loop(0, len(values), add, jnp.zeros(values.shape[1:], values.dtype))


@_added.defjvp
def _tangent(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    values, weights = primals
    return _added(values, weights), jnp.tensordot(weights, tangents[0], axes=1)
