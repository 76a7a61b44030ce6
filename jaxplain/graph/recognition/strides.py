"""Which entries of a source the entries of a value are, when it is laid out or spread anew: exact, without arrays.

The position in the source of the entry at ``(i, j, ...)`` is a sum of strides times digits. A digit is a pair (size,
stride), as in NumPy's strides, but one axis may have several: of channels in two groups of four, flattened, the
statistics of the groups have the digits ``(2, 4), (4, 0)``.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

from jaxplain._compat import Equation

Digit = tuple[int, int]
Axis = tuple[Digit, ...]
Layout = tuple[Axis, ...]
Shape = tuple[int, ...]

LAYOUT = frozenset(("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose"))


class NoLayout(Exception):
    """Entries are not arranged by digits."""


def whole(shape: Shape) -> Layout:
    """Return the layout of a source itself.

    Example:
        >>> whole((5, 1, 8))
        (((5, 8),), (), ((8, 1),))
    """
    return tuple(_merged([(size, math.prod(shape[axis + 1 :]))]) for axis, size in enumerate(shape))


def laid(equation: Equation, layout: Layout) -> Layout:
    """Return the layout of what a broadcast, reshape, squeeze or transpose makes of a value.

    Raises:
        NoLayout: Axes are split across digits.
    """
    shape = tuple(equation.outvars[0].aval.shape)
    match equation.primitive.name:
        case "transpose":
            return tuple(layout[int(axis)] for axis in equation.params["permutation"])
        case "broadcast_in_dim":
            places = [int(axis) for axis in equation.params["broadcast_dimensions"]]
            return spread(tuple(layout[places.index(k)] if k in places else () for k in range(len(shape))), shape)
    if equation.primitive.name == "reshape" and equation.params.get("dimensions") is not None:
        raise NoLayout
    return _reshaped(layout, shape)


def spread(layout: Layout, shape: Shape) -> Layout:
    """Return the layout of a value that is repeated along its axes of length one, as NumPy does."""
    front = ((),) * (len(shape) - len(layout))
    pairs = zip((*front, *layout), shape, strict=True)
    return tuple(axis if axis else _merged([(size, 0)]) for axis, size in pairs)


def digits_of(layout: Layout, axes: Iterable[int]) -> Axis:
    """Return the digits along some axes, the largest stride first, in one form for equal sets of entries."""
    return _merged(sorted((digit for axis in axes for digit in layout[axis]), key=lambda digit: -digit[1]))


def zeroed(layout: Layout, digits: Axis) -> Layout:
    """Return the layout of the first entry of each entry's group, of all that differ in these digits alone."""
    ends = [(stride, stride * size) for size, stride in digits]

    def parts(digit: Digit) -> Iterable[Digit]:
        size, stride = digit
        cuts = sorted({cut for pair in ends for cut in pair if stride < cut < stride * size} | {stride, stride * size})
        for low, high in reversed(list(itertools.pairwise(cuts))):
            if high % low:
                raise NoLayout
            yield high // low, 0 if any(start <= low and high <= stop for start, stop in ends) else low

    return tuple(
        _merged([part for digit in axis for part in (parts(digit) if digit[1] else [digit])]) for axis in layout
    )


def _merged(digits: Sequence[Digit]) -> Axis:
    """Join neighboring digits that count as one."""
    joined: list[Digit] = []
    for size, stride in digits:
        if size == 1:
            continue
        if joined and joined[-1][1] == size * stride:
            joined[-1] = (joined[-1][0] * size, stride)
        else:
            joined.append((size, stride))
    return tuple(joined)


def _reshaped(layout: Layout, shape: Shape) -> Layout:
    digits = list(_merged([digit for axis in layout for digit in axis]))
    axes = []
    for length in shape:
        axis = []
        while length > 1:
            size, stride = digits.pop(0)
            taken = min(size, length)
            if size % taken or length % taken:
                raise NoLayout
            axis.append((taken, stride * (size // taken)))
            if size > taken:
                digits.insert(0, (size // taken, stride))
            length //= taken
        axes.append(_merged(axis))
    return tuple(axes)
