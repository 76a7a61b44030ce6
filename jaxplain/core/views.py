"""Views of an example: mirrored, turned by quarters and shifted, by number; and the way back for a map of a view."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._typing import Array

Move = Callable[[Array, Array, int], Array]
"""Values, which of the choices, and the axis at which the example's space begins, to moved values."""


@dataclass(frozen=True)
class Views:
    """All combinations of flips, quarter turns and shifts; the number 0 is the example itself.

    Args:
        space: The example's shape without channels.
        flips: Axes of space to mirror; negative ones count from the last.
        turns: The two axes of the plane in which the example is turned by 90, 180 and 270 degrees, or none.
        shift: Pixels by which it is moved to either side along every axis; the edge is repeated. On the way back the
            edge of the map is repeated.

    Raises:
        InputError: Axes that do not exist, a plane that is no square, or a shift as long as an axis.

    Example:
        >>> views = Views((3,), flips=(0,))
        >>> len(views), views.seen(jnp.arange(3), jnp.int32(1)).tolist()
        (2, [2, 1, 0])
    """

    space: tuple[int, ...]
    flips: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()
    shift: int = 0

    def __post_init__(self) -> None:
        n = len(self.space)
        for word, axes in (("flips", self.flips), ("turns", self.turns)):
            if any(not -n <= axis < n for axis in axes) or len({axis % n for axis in axes}) != len(axes):
                raise InputError(
                    f"augment: {word} = {axes} must be different axes of the space {self.space}, from {-n} to {n - 1}."
                )
        if len(self.turns) not in (0, 2) or len({self.space[axis] for axis in self.turns}) > 1:
            raise InputError(
                f"augment: turns = {self.turns} must name two axes of equal length in {self.space}, such as (0, 1) of "
                "a square image, or none: turned by 90 degrees the example must keep its shape."
            )
        if self.shift >= min(self.space):
            raise InputError(f"augment: shift = {self.shift} must be less than every axis of {self.space}.")

    def __len__(self) -> int:
        return prod(self._counts)

    def seen(self, values: Array, number: Array, first: int = 0) -> Array:
        """Return what a view shows.

        Args:
            values: An array with the example's space.
            number: Which view.
            first: The axis at which that space begins.
        """
        for choice, (_, forth, _) in zip(self._choices(number), self._moves, strict=True):
            values = forth(values, choice, first)
        return values

    def back(self, values: Array, number: Array, first: int = 0) -> Array:
        """Return values of a view, such as its map, at their places in the example; undoes ``seen``."""
        for choice, (_, _, back) in reversed(list(zip(self._choices(number), self._moves, strict=True))):
            values = back(values, choice, first)
        return values

    @property
    def _counts(self) -> tuple[int, ...]:
        return tuple(count for count, _, _ in self._moves)

    def _choices(self, number: Array) -> tuple[Array, ...]:
        return jnp.unravel_index(number, self._counts) if self._counts else ()

    @property
    def _moves(self) -> list[tuple[int, Move, Move]]:
        """Return, per kind of move, how many choices it has, and the way there and back."""
        moves: list[tuple[int, Move, Move]] = []
        for axis in self.flips:
            flip = _flip(axis % len(self.space))
            moves.append((2, flip, flip))
        if self.turns:
            first, second = (axis % len(self.space) for axis in self.turns)
            moves.append((4, _turn(first, second), _turn(second, first)))
        for axis in range(len(self.space)) if self.shift else ():
            moves.append((3, _shift(axis, self.shift), _shift(axis, -self.shift)))
        return moves


def _flip(axis: int) -> Move:
    return lambda values, choice, first: jnp.where(choice == 1, jnp.flip(values, first + axis), values)


def _turn(a: int, b: int) -> Move:
    def move(values: Array, choice: Array, first: int) -> Array:
        plane = (first + a, first + b)
        once = jnp.where(choice % 2 == 1, jnp.rot90(values, 1, plane), values)
        return jnp.where(choice >= 2, jnp.rot90(once, 2, plane), once)

    return move


def _shift(axis: int, by: int) -> Move:
    def move(values: Array, choice: Array, first: int) -> Array:
        size = values.shape[first + axis]
        offset = jnp.array([0, by, -by], jnp.int32)[choice]
        return jnp.take(values, jnp.clip(jnp.arange(size, dtype=jnp.int32) - offset, 0, size - 1), axis=first + axis)

    return move
