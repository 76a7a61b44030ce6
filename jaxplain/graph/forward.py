"""Which outputs of a program are inputs handed through unchanged, even by way of calls, remat, scan and cond."""

from collections.abc import Sequence
from typing import Any

from jaxplain import _compat
from jaxplain._compat import Equation, Program

_IDENTITIES = frozenset(("optimization_barrier", "copy", "copy_p", "name"))
Origin = int | None


def forwarded(program: Program) -> list[Origin]:
    """Return, for each output, the number of the input that it is, or None if it is computed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxplain._compat import trace_program
        >>> program, _ = trace_program(jax.checkpoint(lambda x, y: (y, x + y)), jnp.ones(2), jnp.ones(2))
        >>> forwarded(program)
        [1, None]
    """
    return _forward(program, list(range(len(program.inputs))))


def _forward(program: Program, origins: Sequence[Origin]) -> list[Origin]:
    known: dict[Any, Origin] = dict(zip(program.inputs, origins, strict=True))

    def read(atom: Any) -> Origin:
        return None if _compat.is_literal(atom) else known.get(atom)

    for equation in program.equations:
        known.update(zip(equation.outvars, _through(equation, [read(atom) for atom in equation.invars]), strict=True))
    return [read(atom) for atom in program.outputs]


def _through(equation: Equation, origins: list[Origin]) -> list[Origin]:
    bodies = _compat.bodies_of(equation)
    match _compat.kind_of(equation) if bodies else "plain":
        case "call" | "custom" | "remat":
            return _forward(bodies[0], origins)
        case "cond":
            results = [_forward(body, origins[1:]) for body in bodies]
            return [column[0] if len(set(column)) == 1 else None for column in zip(*results, strict=True)]
        case "scan":
            n_constants, n_carry, _ = _compat.scan_split(equation)
            steady = forwarded(bodies[0])
            carried = range(n_constants, n_constants + n_carry)
            kept = [origins[k] if steady[k - n_constants] == k else None for k in carried]
            return kept + [None] * (len(equation.outvars) - n_carry)
    if equation.primitive.name in _IDENTITIES:
        return origins
    return [None] * len(equation.outvars)
