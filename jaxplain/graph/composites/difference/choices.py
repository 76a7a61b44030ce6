"""DeepLIFT's rules for blocks that choose: maxima, ``where`` and indexing. All but the last are complete."""

from dataclasses import dataclass

import jax.numpy as jnp

from jaxplain._typing import Array
from jaxplain.graph.rules import Arrays, Call


@dataclass(frozen=True)
class Winner:
    """Maxima and minima: the change belongs to the winner at the larger end (of minima, at the smaller end).

    Of ``y = max x``: where y rises, ``y - y'`` goes to the winner w of the example, whose own change is at least as
    large, as ``x'_w <= y'``; where it falls, to the winner of the reference, as ``x_w <= y``. So ``|m| <= 1``, nothing
    is divided by zero, and windows that overlap add. With ``c = max(y, y')`` that is the convention in which ``c - y'``
    goes to the winner at x and ``y - c`` to the winner at x'; others are complete as well, and differ.
    Ties are divided as the block's own derivative does: pooling gives all to the first, ``max`` equal shares.
    """

    smallest: bool = False
    name: str = "winner"

    def record(self, call: Call) -> tuple[Arrays, Arrays]:
        """Record both ends."""
        return call.inputs, call.outputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return what the winners contribute, divided by their differences."""
        (first, (before,)), (after,), (g,) = call.recorded, call.outputs, cotangents
        change = _difference(after, before)
        falls, rises = (change > 0, change < 0) if self.smallest else (change < 0, change > 0)
        here = call.pull((jnp.where(falls, 0, change) * g,))
        there = call.pull((jnp.where(rises, 0, change) * g,), at=first)
        still = call.pull((jnp.where(change == 0, g, 0),))  # the derivative, where winner and value stay
        return tuple(
            jnp.where(x == x0, kept, (to_here + to_there) / jnp.where(x == x0, 1, x - x0))
            for x0, x, to_here, to_there, kept in zip(first, call.inputs, here, there, still, strict=True)
        )


@dataclass(frozen=True)
class Choice:
    """``select_n``: the derivative where example and reference choose alike.

    Elsewhere the predicate, which has no derivative, has a part in the change; the change is divided among all values
    to choose from, in proportion to how much each differs from its reference. Where they are functions of one entry,
    as in an activation written with ``where``, the slope of the secant comes out. It is NaN where none of them differs.
    """

    name: str = "choice"

    def record(self, call: Call) -> tuple[Arrays, Arrays]:
        """Record both ends."""
        return call.inputs, call.outputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return the derivative, or shares of the change."""
        (first, (before,)), (after,), (g,) = call.recorded, call.outputs, cotangents
        alike = call.run(*first)[0] == before
        steps = [_difference(x, x0) for x0, x in zip(first, call.inputs, strict=True)]
        whole = sum((jnp.abs(step) for step in steps), jnp.zeros_like(after))
        share = jnp.where(alike, 0, g * _difference(after, before)) / jnp.where(alike, 1, whole)
        pulled = call.pull((jnp.where(alike, g, 0),))
        return tuple(kept + share * jnp.sign(step) for kept, step in zip(pulled, steps, strict=True))


@dataclass(frozen=True)
class SameEntries:
    """Entries taken from places that may depend on the input: the derivative, NaN where the places differ."""

    name: str = "same entries"

    def record(self, call: Call) -> tuple[Arrays, Arrays]:
        """Record both ends."""
        return call.inputs, call.outputs

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Pull back; the example's places at the reference must give what the reference's did."""
        (first, (before,)), (g,) = call.recorded, cotangents
        elsewhere = (call.run(*first)[0] != before) & (g != 0)
        return call.pull((jnp.where(elsewhere, jnp.nan, g),))


def _difference(x: Array, x0: Array) -> Array:
    """Subtract; equal infinities do not differ."""
    return jnp.where(x == x0, 0, x - x0)
