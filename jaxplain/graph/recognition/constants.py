"""Numbers that a traced program knows while it is traced: literals, constants and what follows from them.

Only single numbers are followed, in whatever shape they are spread; weights and other captured arrays are not known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.recognition.arithmetic import ELEMENTWISE, apply, trying
from jaxplain.graph.walk import Site

Numbers = dict[Any, Any]

SPREADING = frozenset(("broadcast_in_dim", "reshape", "squeeze", "expand_dims"))
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


def number_of(value: Any, variable: Any) -> Any:
    """Return a concrete value that is one number as a NumPy array without axes, in a variable's dtype, or None."""
    if isinstance(value, jax.core.Tracer) or np.size(value) != 1:
        return None
    dtype = variable.aval.dtype
    is_number = jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)
    return np.asarray(value).reshape(()).astype(dtype) if is_number else None


def numbers_of(program: Program) -> list[Any]:
    """Return the constants of a program that are one number, None in the place of others."""
    return list(map(number_of, program.values, program.constants))


def read(atom: Any, numbers: Mapping[Any, Any]) -> Any:
    """Return the number that an atom stands for, or None."""
    return number_of(atom.val, atom) if _compat.is_literal(atom) else numbers.get(atom)


def _walk(program: Program, inputs: Sequence[Any], here: Site, found: dict[Site, Numbers]) -> list[Any]:
    numbers: Numbers = {}
    found[here] = numbers
    numbers |= _some(program.constants, numbers_of(program))
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
