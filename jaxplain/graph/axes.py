"""Where the network's batch axis goes when an equation moves, drops or splits axes.

The batch axis has length one: a score puts it in front of the example. Layouts change inside a network (a recurrent
layer puts time first, ``vmap`` puts its own axis first), so its position is followed from value to value.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from jaxplain._compat import Equation

Axis = int | None
Shape = tuple[int, ...]


def batch_axis(equation: Equation, axes: Sequence[Axis], number: int) -> Axis:
    """Return the position of the batch axis in an output of an equation without a body.

    Args:
        equation: The equation.
        axes: Its positions in the inputs; None where an input has none.
        number: Which output is meant.
    """
    shape = _shape(equation.outvars[number])
    move = _MOVES.get(equation.primitive.name, _same)
    for position, axis in enumerate(axes):
        if axis is None:
            continue
        moved = move(equation, position, axis, shape)
        if moved is not None and moved < len(shape) and shape[moved] == 1:
            return moved
    return None


def added_in_front(equation: Equation, number: int) -> bool:
    """Tell whether an equation puts an axis of length one in front of its first input, as ``x[None]`` does."""
    name = equation.primitive.name
    if name not in ("broadcast_in_dim", "reshape", "expand_dims"):
        return False
    return _shape(equation.outvars[number]) == (1, *_shape(equation.invars[0]))


def _shape(atom: Any) -> Shape:
    return tuple(getattr(atom.aval, "shape", ()))


def _same(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    rank = len(_shape(equation.invars[position]))
    return axis if rank == len(shape) or axis == 0 else None


def _without(dropped: Sequence[int], axis: int) -> Axis:
    return None if axis in dropped else axis - sum(other < axis for other in dropped)


def _transpose(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    return list(equation.params["permutation"]).index(axis)


def _reduce(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    return _without(equation.params["axes"], axis)


def _squeeze(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    return _without(equation.params["dimensions"], axis)


def _broadcast(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    return equation.params["broadcast_dimensions"][axis] if position == 0 else None


def _reshape(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    before = math.prod(_shape(equation.invars[0])[:axis])
    places = [k for k, length in enumerate(shape) if length == 1 and math.prod(shape[:k]) == before]
    return min(places, key=lambda place: abs(place - axis), default=None)


def _dot(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    contracted, batched = (sides[position] for sides in equation.params["dimension_numbers"])
    if axis in batched:
        return list(batched).index(axis)
    place = _without(tuple(contracted) + tuple(batched), axis)
    if place is None or position == 0:
        return place if place is None else len(batched) + place
    return len(shape) - (len(_shape(equation.invars[1])) - len(contracted) - len(batched)) + place


def _convolution(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    numbers = equation.params["dimension_numbers"]
    specs = (numbers.lhs_spec, numbers.out_spec)
    return specs[1][list(specs[0]).index(axis)] if position == 0 else None


def _gather(equation: Equation, position: int, axis: int, shape: Shape) -> Axis:
    numbers = equation.params["dimension_numbers"]
    gone = tuple(numbers.collapsed_slice_dims) + tuple(getattr(numbers, "operand_batching_dims", ()))
    place = _without(gone, axis) if position == 0 else None
    return None if place is None else numbers.offset_dims[place]


_MOVES: dict[str, Callable[[Equation, int, int, Shape], Axis]] = {
    "transpose": _transpose,
    "squeeze": _squeeze,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "gather": _gather,
    **dict.fromkeys(
        ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin"),
        _reduce,
    ),
}
