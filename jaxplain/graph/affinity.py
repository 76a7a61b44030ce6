"""Which equations of a traced program compute affine functions of the input, from the input on.

An equation is affine where it moves, adds or rescales values that are affine themselves, or multiplies one of them by
something that does not depend on the input. Bodies of jit calls and of remat are followed; scan, cond, while and opaque
calls count as not affine. A custom derivative rule counts as affine where both its values are and its pull-back depends
on the cotangent alone, as that of a convolution does: so a network whose convolutions have been given other pull-backs
is seen through, and a clipped or otherwise changed gradient ends the affine part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain.graph.operations import MOVEMENTS
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Site

Origin = tuple[Site, int]
"""Where an affine value is made: an equation's site and its output's number, or ``()`` and a leaf of the input."""

# Affine together in all operands; that indices and predicates do not depend on the input follows, since whatever makes
# an integer or a boolean from a floating value is not affine.
_JOINT = MOVEMENTS | frozenset(
    (
        "add", "add_any", "cumsum", "neg", "reduce_sum", "reduce_window_sum", "scatter", "scatter-add", "scatter_add",
        "select_n", "sub",
    )
)  # fmt: skip
_PRODUCTS = frozenset(("mul", "dot_general", "conv_general_dilated"))
_OTHER = ((-1,), 0)  # stands for a value that depends on the input, but not as an affine function


@dataclass(frozen=True)
class AffineStep:
    """One equation that is affine in the input.

    Args:
        site: Its address.
        equation: The equation itself.
        reads: The affine values that it reads.
        n_products: How many products of a convolution or matrix product it takes.
    """

    site: Site
    equation: Equation
    reads: tuple[Origin, ...]
    n_products: int


def affine_steps(traced: Traced) -> tuple[list[AffineStep], list[Origin]]:
    """Return the affine equations of a traced function in order, and the affine values that anything else reads."""
    n_x = len(traced.program.inputs) - traced.n_captured
    inputs = [None] * traced.n_captured + [((), leaf) for leaf in range(n_x)]
    walk = _Walk()
    outputs = walk.through(traced.program, inputs, ())
    walk.leave(outputs)
    return walk.steps, list(walk.left)


class _Walk:
    """A walk along the equations, collecting the affine ones.

    A value is None where it does not depend on the input, ``_OTHER`` where it does, and an origin where it is affine.
    """

    def __init__(self, *, customs: bool = True) -> None:
        self.steps: list[AffineStep] = []
        self.left: dict[Origin, None] = {}
        self.customs = customs

    def leave(self, values: Sequence[Origin | None]) -> None:
        """Note which affine values are read by something that is not."""
        self.left.update(dict.fromkeys(value for value in values if value not in (None, _OTHER)))  # type: ignore[misc]

    def through(self, program: Program, inputs: Sequence[Origin | None], here: Site) -> list[Origin | None]:
        """Follow a program and return its outputs."""
        known = dict(zip(program.inputs, inputs, strict=True))

        def read(atom: Any) -> Origin | None:
            return None if _compat.is_literal(atom) else known.get(atom)

        for position, equation in enumerate(program.equations):
            outputs = self._equation(equation, [read(atom) for atom in equation.invars], (*here, position))
            known.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in program.outputs]

    def _equation(self, equation: Equation, operands: list[Origin | None], site: Site) -> list[Origin | None]:
        if all(value is None for value in operands):
            return [None] * len(equation.outvars)
        if _compat.kind_of(equation) in ("call", "remat"):
            return self.through(_compat.bodies_of(equation)[0], operands, (*site, 0))
        n_products = None if _OTHER in operands else self._products(equation, operands)
        if n_products is None:
            self.leave(operands)
            return [_OTHER] * len(equation.outvars)
        reads = tuple(dict.fromkeys(value for value in operands if value is not None))
        self.steps.append(AffineStep(site, equation, reads, n_products))
        return [(site, number) for number in range(len(equation.outvars))]

    def _products(self, equation: Equation, operands: list[Origin | None]) -> int | None:
        """Return how many products an affine equation takes, None if it is not affine."""
        depending = [atom for atom, value in zip(equation.invars, operands, strict=True) if value is not None]
        if not all(jnp.issubdtype(atom.aval.dtype, jnp.inexact) for atom in (*depending, *equation.outvars)):
            return None
        name = equation.primitive.name
        if name in _JOINT:
            return 0
        if name in _PRODUCTS:
            return _products_of(equation) if len(depending) == 1 else None
        if name == "div":
            return 0 if operands[1] is None else None
        if self.customs and _compat.kind_of(equation) == "custom":
            inside = _Walk()
            outputs = inside.through(_compat.bodies_of(equation)[0], operands, ())
            if _OTHER not in outputs and _pulls_back_alike(equation, operands):
                return sum(step.n_products for step in inside.steps)
        return None


def _products_of(equation: Equation) -> int:
    """Return the number of products in a convolution or matrix product, 0 for a product of entries."""
    name, params = equation.primitive.name, equation.params
    left, right = (atom.aval.shape for atom in equation.invars)
    size = prod(equation.outvars[0].aval.shape)
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return size * prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        return size * prod(right) // right[params["dimension_numbers"].rhs_spec[0]]
    return 0


def _pulls_back_alike(equation: Equation, operands: Sequence[Origin | None]) -> bool:
    """Tell whether a custom rule pulls cotangents back by one linear map, wherever it is evaluated."""
    moves = [value is not None for value in operands]
    shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars]
    moving = [shape for shape, moved in zip(shapes, moves, strict=True) if moved]
    fixed = [shape for shape, moved in zip(shapes, moves, strict=True) if not moved]
    cotangents = [jax.ShapeDtypeStruct(out.aval.shape, out.aval.dtype) for out in equation.outvars]

    def pull(moving: list[Any], fixed: list[Any], cotangents: list[Any]) -> Any:
        def run(moving: list[Any]) -> list[Any]:
            streams = {True: iter(moving), False: iter(fixed)}
            return _compat.bind(equation, [next(streams[moved]) for moved in moves], scoped=False)

        return jax.vjp(run, moving)[1](cotangents)

    program, _ = _compat.trace_program(pull, moving, fixed, cotangents)
    inputs = [_OTHER] * len(moving) + [None] * len(fixed) + [((), number) for number in range(len(cotangents))]
    return _OTHER not in _Walk(customs=False).through(program, inputs, ())
