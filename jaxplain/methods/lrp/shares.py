"""Dividing relevance among contributions: the stabilized quotient that all rules share.

The stabilizer moves a denominator away from zero, ``z + epsilon * sign(z)`` with ``sign(0) = +1``.
"""

import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import Array
from jaxplain.graph.recognition.affine import Affine
from jaxplain.graph.rules import Call

EPSILON = 1e-6
"""The stabilizer where nothing else is said, Zennit's."""


def sign(z: Array) -> Array:
    """Return 1 where a value is not negative, else -1."""
    return jnp.where(z >= 0, 1, -1).astype(z.dtype)


def shares(relevance: Array, total: Array, epsilon: float | Array) -> Array:
    """Return ``relevance / (total + epsilon * sign(total))``: relevance per unit of contribution.

    Where the denominator is zero there is nothing among which relevance could be divided: the share is zero.

    Args:
        relevance: Relevance of the outputs.
        total: What contributes to each of them, summed.
        epsilon: The stabilizer, not negative.
    """
    stable = total + jnp.asarray(epsilon, total.dtype) * sign(total)
    nothing = stable == 0
    return jnp.where(nothing, 0, relevance / jnp.where(nothing, 1, stable))


def affine_of(call: Call, rule: str) -> Affine:
    """Return a block's weights and bias.

    Raises:
        InputError: The block has none.
    """
    if call.affine is None:
        raise InputError(
            f"lrp: the rule {rule} splits contributions by the weights of a convolution or dense layer, and the block "
            f"{call.block.kind!r} ({call.block.source}) is none; limit it to OfKind('conv', 'dot')."
        )
    return call.affine
