"""Affine runs: a convolution or matrix product with the bias, normalization and scale that follow, as one block.

A run begins at a convolution or a product of one value that depends on the input with one that does not. It goes on
while its value is used once, by an addition, subtraction, product or quotient with something that does not depend on
the input. What such operands are computed from (the reciprocal deviation of batch normalization, say) stays outside,
evaluated once; so inference batch normalization is part of the run, and training-time normalization is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from jaxplain import _compat
from jaxplain._compat import Program
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import naming, place
from jaxplain.graph.operations import operation_name
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Run, Site

_STARTS = ("conv_general_dilated", "dot_general")
_FOLLOWING = ("add", "sub", "mul", "neg", "copy", "copy_p", "convert_element_type")


@dataclass(frozen=True)
class AffineRun:
    """One affine run.

    Args:
        site: The address of its last equation.
        run: Its equations; the inputs are the value that depends on the example and what does not.
        parts: What its equations compute, in order, such as ``("conv", "add", "sub", "mul", "add")``.
        path: The module path of its first equation.
        shape: The shape of its value, with the network's batch axis.
    """

    site: Site
    run: Run
    parts: tuple[str, ...]
    path: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.path or '-'}  {' + '.join(self.parts)}  [{','.join(map(str, self.shape))}]"


def affine_report(f: Model | Callable[[PyTree], PyTree], x: PyTree) -> str:
    """Return one line per affine run of a function: path, parts and shape.

    Args:
        f: A model, a score or any function of one example.
        x: One example, or its shape and dtype.

    Example:
        >>> import jax.numpy as jnp
        >>> print(affine_report(lambda x: jnp.tanh((x @ jnp.ones((3, 2)) + 1.0) / 2.0), jnp.ones(3)))
        -  dot + add + div  [2]
    """
    return "\n".join(map(str, affine_runs(trace(f, x))))


def affine_runs(traced: Traced) -> tuple[AffineRun, ...]:
    """Return the affine runs of a traced function in the order of evaluation.

    Runs inside jit, remat, scan and cond are found as well; none goes across their boundary.
    """
    found = steps(traced)
    places = {step.site: place(step.scopes) for step in found}
    name_of = naming(places[step.site] for step in found if step.depends)
    programs: dict[Site, dict[int, Step]] = {}
    for step in found:
        programs.setdefault(step.site[:-1], {})[step.site[-1]] = step
    result = []
    for here, inside in sorted(programs.items()):
        program = traced.program_at((*here, 0))
        users = _users(program)
        for position in sorted(inside):
            if not _starts(inside[position]):
                continue
            positions = _positions(position, inside, users)
            last = program.equations[positions[-1]]
            result.append(
                AffineRun(
                    (*here, positions[-1]),
                    Run.of(program, positions),
                    tuple(operation_name(program.equations[one]) for one in positions),
                    name_of(places[(*here, position)].path),
                    tuple(last.outvars[0].aval.shape),
                )
            )
    return tuple(sorted(result, key=lambda one: one.site))


def _users(program: Program) -> dict[Any, list[int]]:
    """Return the positions at which each variable is read; -1 stands for the program's outputs."""
    users: dict[Any, list[int]] = {}
    for position, equation in enumerate(program.equations):
        for atom in equation.invars:
            if not _compat.is_literal(atom):
                users.setdefault(atom, []).append(position)
    for atom in program.outputs:
        if not _compat.is_literal(atom):
            users.setdefault(atom, []).append(-1)
    return users


def _starts(step: Step) -> bool:
    return step.equation.primitive.name in _STARTS and _depending(step) == 1


def _depending(step: Step) -> int:
    return sum(flow.depends for flow in step.inputs)


def _positions(start: int, inside: dict[int, Step], users: dict[Any, list[int]]) -> list[int]:
    positions = [start]
    while True:
        value = inside[positions[-1]].equation.outvars[0]
        readers = users.get(value, [])
        if len(readers) != 1 or readers[0] < 0 or not _follows(inside[readers[0]], value):
            return positions
        positions.append(readers[0])


def _follows(step: Step, value: Any) -> bool:
    equation = step.equation
    if _depending(step) != 1 or equation.outvars[0].aval.shape != value.aval.shape:
        return False
    if equation.primitive.name == "div":
        return equation.invars[0] is value
    if equation.primitive.name == "convert_element_type":
        return bool(jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating))
    return equation.primitive.name in _FOLLOWING
