"""Numbers that a traced program knows while it is traced: literals, constants and what follows from them.

Only single numbers are followed, in whatever shape they are spread; weights and other captured arrays are not known.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.walk import Site

Numbers = dict[Any, Any]

SPREADING = frozenset(("broadcast_in_dim", "reshape", "squeeze", "expand_dims"))
ELEMENTWISE = frozenset(
    (
        "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil",
        "clamp", "convert_element_type", "copy", "copy_p", "cos", "cosh", "div", "eq", "erf", "erf_inv", "erfc", "exp",
        "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p", "logistic", "lt",
        "max", "min", "mul", "ne", "neg", "not", "or", "pow", "reduce_precision", "rem", "round", "rsqrt", "select_n",
        "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor",
    )
)  # fmt: skip
_CALLS = ("call", "custom", "remat")


def known_numbers(program: Program) -> dict[Site, Numbers]:
    """Return, for a program and every program inside it (by the site in front of its equations), the known numbers.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxplain._compat import trace_program
        >>> program, _ = trace_program(lambda x: x * jnp.sqrt(4.0), jnp.ones(2))
        >>> {float(number) for number in known_numbers(program)[()].values()}
        {2.0}
    """
    found: dict[Site, Numbers] = {}
    with trying():
        _walk(program, [None] * len(program.inputs), (), found)
    return found


@contextlib.contextmanager
def trying() -> Iterator[None]:
    """Compute at once, also while tracing, without alarm at what overflows or is undefined."""
    with jax.ensure_compile_time_eval(), jax.debug_nans(False), jax.debug_infs(False):
        yield


def number_of(value: Any) -> Any:
    """Return a concrete value that is one number as an array without axes, or None."""
    if isinstance(value, jax.core.Tracer) or np.size(value) != 1:
        return None
    array = jnp.asarray(value)
    return array.reshape(()) if jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool else None


def read(atom: Any, numbers: Mapping[Any, Any]) -> Any:
    """Return the number that an atom stands for, or None."""
    if not _compat.is_literal(atom):
        return numbers.get(atom)
    number = number_of(atom.val)
    return None if number is None else number.astype(atom.aval.dtype)


def apply(equation: Equation, operands: Sequence[Any]) -> Any:
    """Evaluate an elementwise equation on arrays of other shapes than it was traced for."""
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    return equation.primitive.bind(*(jnp.broadcast_to(operand, shape) for operand in operands), **equation.params)


def _walk(program: Program, inputs: Sequence[Any], here: Site, found: dict[Site, Numbers]) -> list[Any]:
    numbers: Numbers = {}
    found[here] = numbers
    numbers |= _some(program.constants, [number_of(value) for value in program.values])
    numbers |= _some(program.inputs, inputs)
    for position, equation in enumerate(program.equations):
        operands = [read(atom, numbers) for atom in equation.invars]
        outputs = _through(equation, operands, (*here, position), found)
        numbers |= _some(equation.outvars, outputs)
    return [read(atom, numbers) for atom in program.outputs]


def _through(equation: Equation, operands: Sequence[Any], site: Site, found: dict[Site, Numbers]) -> list[Any]:
    unknown = [None] * len(equation.outvars)
    bodies, kind = _compat.bodies_of(equation), _compat.kind_of(equation)
    if bodies and kind in _CALLS:
        return _walk(bodies[0], operands, (*site, 0), found)
    if kind == "scan":
        n_constants = _compat.scan_split(equation)[0]
        given = [*operands[:n_constants], *[None] * (len(bodies[0].inputs) - n_constants)]
        _walk(bodies[0], given, (*site, 0), found)
    elif kind == "cond":
        for number, body in enumerate(bodies):
            _walk(body, operands[1:], (*site, number), found)
    elif not bodies and operands and all(operand is not None for operand in operands):
        if equation.primitive.name in SPREADING:
            return [operands[0]]
        if equation.primitive.name in ELEMENTWISE:
            return [apply(equation, operands)]
    return unknown


def _some(variables: Sequence[Any], values: Sequence[Any]) -> Numbers:
    return {variable: value for variable, value in zip(variables, values, strict=True) if value is not None}
