"""Which values of a traced program are nowhere negative, whatever the input and the weights are.

One forward pass over the equations, inside jit, remat, scan, cond and while as well: behind a ReLU and what leaves its
values non-negative (pooling, averages, reshapes, sums, products), squares, absolute values, exponentials and what is
made of them. What no line here covers is unknown, and so is what comes from the input or from weights.

Non-negative means that no entry is below zero. NaN may occur, and so may -0.0, which ``max(x, 0)`` leaves open; a value
in which it cannot occur is ``CLEAR``, and a quotient by that is not -inf.
"""

from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.operations import MOVEMENTS
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Site


class Sign(IntEnum):
    """What is known of the sign of all entries of a value; of two values the lesser one holds for both."""

    UNKNOWN = 0
    NONNEGATIVE = 1
    CLEAR = 2
    """Non-negative, and no entry is -0.0."""


Signs = dict[Any, Sign]
"""The signs of a program's variables."""

_LEAST = MOVEMENTS | frozenset(
    (
        "add", "add_any", "asinh", "atan", "cbrt", "ceil", "cummax", "cummin", "cumprod", "cumsum", "dot_general",
        "erf", "expm1", "floor", "log1p", "min", "mul", "reduce_min", "reduce_precision", "reduce_prod",
        "reduce_sum", "reduce_window_min", "reduce_window_sum", "round", "scatter-add", "scatter_add", "select_n",
        "sign", "sinh", "sort", "sqrt", "stop_gradient", "tanh",
    )
)  # fmt: skip
"""Primitives as non-negative as all their operands are. Convolutions are not: Winograd's algorithm subtracts."""
_CLEAR = frozenset(("abs", "acos", "cosh", "erfc", "exp", "exp2", "logistic", "square"))
_INDEXED = frozenset(
    ("dynamic_slice", "dynamic_update_slice", "gather", "scatter", "scatter-add", "scatter_add", "select_n")
)
"""Primitives of which some operands choose among entries of the others."""


def signs_of(traced: Traced, rectified: Collection[Site] = ()) -> dict[Site, Signs]:
    """Return the signs of all values of a traced function, by the site in front of the equations of their program.

    Args:
        traced: The function.
        rectified: Sites of equations whose results are known to be non-negative, as those of ReLUs written out are.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxplain.graph.trace import trace
        >>> program = (traced := trace(lambda x: jnp.exp(x).sum() - x, jnp.ones(3))).program
        >>> [signs_of(traced)[()][equation.outvars[0]].name for equation in program.equations]
        ['CLEAR', 'CLEAR', 'UNKNOWN']
    """
    walk = _Walk(rectified)
    walk.through(traced.program, [Sign.UNKNOWN] * len(traced.program.inputs), ())
    return walk.found


class _Walk:
    """A walk along the equations; of a loop's body it keeps the signs that hold in every round."""

    def __init__(self, rectified: Collection[Site]) -> None:
        self.rectified = rectified
        self.found: dict[Site, Signs] = {}

    def through(self, program: Program, inputs: Sequence[Sign], here: Site) -> list[Sign]:
        known: Signs = dict(zip(program.inputs, inputs, strict=True))
        known.update(zip(program.constants, map(_of_number, program.values), strict=True))
        self.found[here] = known

        def read(atom: Any) -> Sign:
            return _of_number(atom.val) if _compat.is_literal(atom) else known.get(atom, Sign.UNKNOWN)

        for position, equation in enumerate(program.equations):
            site = (*here, position)
            outputs = self._equation(equation, [read(atom) for atom in equation.invars], site)
            least = Sign.NONNEGATIVE if site in self.rectified else Sign.UNKNOWN
            known.update((out, max(sign, least)) for out, sign in zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in program.outputs]

    def _equation(self, equation: Equation, operands: list[Sign], site: Site) -> list[Sign]:
        bodies = _compat.bodies_of(equation)

        def body(number: int, inputs: list[Sign]) -> list[Sign]:
            return self.through(bodies[number], inputs, (*site, number))

        match _compat.kind_of(equation) if bodies else "plain":
            case "call" | "custom" | "remat":
                return body(0, operands)
            case "cond":
                return _least(*(body(number, operands[1:]) for number in range(len(bodies))))
            case "scan":
                n_constants, n_carry, _ = _compat.scan_split(equation)
                constants, slices = operands[:n_constants], operands[n_constants + n_carry :]
                start = operands[n_constants : n_constants + n_carry]
                return _settled(lambda carry: body(0, constants + carry + slices), start)
            case "while":
                n_test, n_body = _compat.while_split(equation)
                constants, start = operands[n_test : n_test + n_body], operands[n_test + n_body :]
                return _settled(lambda state: body(1, constants + state), start)
        return [_plain(equation, operands, variable.aval) for variable in equation.outvars]


def _least(*several: Sequence[Sign]) -> list[Sign]:
    return [min(column) for column in zip(*several, strict=True)]


def _settled(body: Callable[[list[Sign]], list[Sign]], state: list[Sign]) -> list[Sign]:
    """Walk a loop's body until what is known of its state stops shrinking."""
    while True:
        outputs = body(state)
        shrunk = _least(state, outputs[: len(state)])
        if shrunk == state:
            return [*state, *outputs[len(state) :]]
        state = shrunk


def _of_number(value: Any) -> Sign:
    """Return the sign of a constant that is one number; others are not looked at."""
    if isinstance(value, jax.core.Tracer) or np.size(value) != 1 or not _is_real(value):
        return Sign.UNKNOWN
    return Sign.UNKNOWN if np.signbit(np.asarray(value, np.float64)).any() else Sign.CLEAR


def _is_real(value: Any) -> bool:
    dtype = jnp.result_type(value)
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def _plain(equation: Equation, operands: list[Sign], out: Any) -> Sign:
    if not jnp.issubdtype(out.dtype, jnp.floating):
        return Sign.CLEAR if out.dtype == bool else Sign.UNKNOWN  # integers may overflow
    name, params = equation.primitive.name, equation.params
    if name in _INDEXED:
        pairs = zip(equation.invars, operands, strict=True)
        operands = [sign for atom, sign in pairs if jnp.issubdtype(atom.aval.dtype, jnp.floating)]
    least = min(operands, default=Sign.UNKNOWN)
    if_clear = least if least == Sign.CLEAR else Sign.UNKNOWN
    match name:
        case "mul" if equation.invars[0] is equation.invars[1]:
            return Sign.CLEAR
        case "max":
            return max(least, min(max(operands), Sign.NONNEGATIVE))
        case "clamp":
            low, x, high = operands
            return min(max(low, x), high, Sign.NONNEGATIVE)
        case "div":
            return operands[0] if operands[1] == Sign.CLEAR else Sign.UNKNOWN
        case "integer_pow":
            y = params["y"]
            return Sign.CLEAR if y % 2 == 0 else least if y > 0 else if_clear
        case "pow" | "rsqrt":
            return if_clear
        case "reduce_max":
            return Sign.UNKNOWN if 0 in equation.invars[0].aval.shape else least  # the maximum of nothing is -inf
        case "reduce_window_max":
            return least if _windows_are_filled(params) else Sign.UNKNOWN
        case "gather":
            fill = params.get("fill_value")
            return least if fill is None else min(least, _of_number(fill))
    return Sign.CLEAR if name in _CLEAR else least if name in _LEAST else Sign.UNKNOWN


def _windows_are_filled(params: Any) -> bool:
    """Tell whether every window of a pooling holds an entry."""
    spread = (*params["base_dilation"], *params["window_dilation"])
    sides = zip(params["padding"], params["window_dimensions"], strict=True)
    return all(width == 1 for width in spread) and all(max(pads) < width for pads, width in sides)
