"""Affine runs: a convolution or matrix product with the bias, normalization and scale that follow, as one block.

A run begins at a convolution or a product of one value that depends on the input with one that does not. It goes on
while its value is used once, by an addition or subtraction of something that does not depend on the input, or by a
multiplication or division that amounts to other weights: a number, or one factor per output feature. What such operands
are computed from (the reciprocal deviation of batch normalization, say) stays outside, evaluated once; so inference
batch normalization is part of the run, and training-time normalization is not.

Rules see a run as ``y = product(x, weight) + shift`` with the factors inside the weight, exactly as if the network had
been written with folded normalization.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain import _compat
from jaxplain._compat import Equation, Program
from jaxplain._typing import Array, PyTree
from jaxplain.core.model import Model
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import naming, place
from jaxplain.graph.operations import operation_name
from jaxplain.graph.recognition.wiring import by_program
from jaxplain.graph.trace import Traced, trace
from jaxplain.graph.walk import Run, Site

STARTS = ("conv_general_dilated", "dot_general")
_ADDING = ("add", "sub", "neg", "copy", "copy_p", "convert_element_type")
_SCALING = ("mul", "div")
_ENTRYWISE = ("mul", "add", "sub", "div", "neg", "rsqrt", "sqrt", "convert_element_type")


@dataclass(frozen=True)
class Affine:
    """An affine run at one example: ``y = product(x, weight) + shift``.

    Args:
        product: The convolution or matrix product, linear in both of its arguments; its result has y's dtype.
        weight: The weights, with all factors that follow the product inside.
        shift: What is added: bias and normalization; of y's shape.
    """

    product: Callable[[Array, Array], Array]
    weight: Array
    shift: Array


@dataclass(frozen=True)
class AffineRun:
    """One affine run.

    Args:
        site: The address of its last equation.
        run: Its equations; the inputs are the value that depends on the example and what does not.
        parts: What its equations compute, in order, such as ``("conv", "add", "sub", "mul", "add")``.
        path: The module path of its first equation.
        shape: The shape of its value, with the network's batch axis.
        moving: Which operand of the product depends on the example, 0 or 1.
    """

    site: Site
    run: Run
    parts: tuple[str, ...]
    path: str
    shape: tuple[int, ...]
    moving: int

    def __str__(self) -> str:
        return f"{self.path or '-'}  {' + '.join(self.parts)}  [{','.join(map(str, self.shape))}]"

    @property
    def source(self) -> Any:
        """The variable that depends on the example."""
        return self.run.equations[0].invars[self.moving]

    def at(self, inputs: Sequence[Any]) -> Affine:
        """Return the run with its weights and biases, given the values of ``run.inputs``."""
        values = dict(zip(self.run.inputs, inputs, strict=True))
        start = self.run.equations[0]
        fixed = start.invars[1 - self.moving]
        weight = jnp.asarray(fixed.val) if _compat.is_literal(fixed) else values[fixed]
        out = self.run.equations[-1].outvars[0].aval

        def product(x: Array, weight: Array) -> Array:
            operands = [x, weight] if self.moving == 0 else [weight, x]
            (result,) = self.run.bind(0, operands)
            return result.astype(out.dtype)

        def following(value: Array) -> Array:
            known = {**values, start.outvars[0]: value}
            for equation in self.run.equations[1:]:
                operands = [atom.val if _compat.is_literal(atom) else known[atom] for atom in equation.invars]
                known.update(zip(equation.outvars, _compat.bind(equation, operands, scoped=False), strict=True))
            return known[self.run.equations[-1].outvars[0]]

        before = start.outvars[0].aval
        origin = jnp.zeros(before.shape, before.dtype)
        if not any(equation.primitive.name in (*_SCALING, "sub", "neg") for equation in self.run.equations[1:]):
            return Affine(product, weight, following(origin))
        shift, factor = jax.jvp(following, (origin,), (jnp.ones_like(origin),))
        return Affine(product, weight * _as_weight(factor, start, self.moving, weight), shift)


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


def affine_runs(
    traced: Traced, found: Sequence[Step] | None = None, taken: frozenset[Site] = frozenset()
) -> tuple[AffineRun, ...]:
    """Return the affine runs of a traced function in the order of evaluation.

    Runs inside jit, remat, scan and cond are found as well; none goes across their boundary.

    Args:
        traced: The traced function.
        found: Its steps, where they are known.
        taken: Sites of equations that belong to other blocks.
    """
    found = steps(traced) if found is None else found
    places = {step.site: place(step.scopes) for step in found}
    name_of = naming(places[step.site] for step in found if step.depends)
    result = []
    for here, inside in by_program(found).items():
        program = traced.program_at((*here, 0))
        users = _users(program)
        makers = {variable: equation for equation in program.equations for variable in equation.outvars}
        free = {one: step for one, step in inside.items() if step.site not in taken}
        for position in sorted(free):
            if not _starts(free[position]):
                continue
            positions = _positions(position, free, users, makers)
            last = program.equations[positions[-1]]
            result.append(
                AffineRun(
                    (*here, positions[-1]),
                    Run.of(program, positions),
                    tuple(operation_name(program.equations[one]) for one in positions),
                    name_of(places[(*here, position)].path),
                    tuple(last.outvars[0].aval.shape),
                    0 if free[position].inputs[0].depends else 1,
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
    return step.equation.primitive.name in STARTS and _depending(step) == 1


def _depending(step: Step) -> int:
    return sum(flow.depends for flow in step.inputs)


def _positions(
    start: int, inside: Mapping[int, Step], users: Mapping[Any, list[int]], makers: Mapping[Any, Equation]
) -> list[int]:
    positions = [start]
    axes = frozenset(_axes_of_weight(inside[start].equation, 0 if inside[start].inputs[0].depends else 1))
    while True:
        value = inside[positions[-1]].equation.outvars[0]
        readers = users.get(value, [])
        if len(readers) != 1 or readers[0] not in inside or not _follows(inside[readers[0]], value, axes, makers):
            return positions
        positions.append(readers[0])


def _follows(step: Step, value: Any, axes: frozenset[int], makers: Mapping[Any, Equation]) -> bool:
    equation, name = step.equation, step.equation.primitive.name
    if _depending(step) != 1 or equation.outvars[0].aval.shape != value.aval.shape:
        return False
    if name in _SCALING:
        other = equation.invars[0] if equation.invars[0] is not value else equation.invars[1]
        return (name == "mul" or equation.invars[0] is value) and varying(other, makers) <= axes
    if name == "convert_element_type":
        return bool(jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating))
    return name in _ADDING


def varying(atom: Any, makers: Mapping[Any, Equation]) -> frozenset[int]:
    """Return the axes along which a value may vary, as far as broadcasts tell."""
    shape = atom.aval.shape
    equation = None if _compat.is_literal(atom) else makers.get(atom)
    if equation is not None and equation.primitive.name == "broadcast_in_dim":
        spread = equation.params["broadcast_dimensions"]
        return frozenset(spread[axis] for axis in varying(equation.invars[0], makers))
    if equation is not None and equation.primitive.name in _ENTRYWISE:
        read = [operand for operand in equation.invars if operand.aval.shape == shape]
        return frozenset().union(*(varying(operand, makers) for operand in read))
    return frozenset(axis for axis, length in enumerate(shape) if length > 1)


def _axes_of_weight(equation: Equation, moving: int) -> dict[int, int]:
    """Return, for each axis of a product's result that belongs to its weights alone, the axis of the weights."""
    numbers = equation.params["dimension_numbers"]
    if equation.primitive.name == "conv_general_dilated":
        return {numbers.out_spec[1]: numbers.rhs_spec[0]} if moving == 0 else {}
    contracted, batched = numbers
    n_shared = len(batched[0])
    rank = [len(atom.aval.shape) for atom in equation.invars]
    free = [[axis for axis in range(rank[side]) if axis not in (*contracted[side], *batched[side])] for side in (0, 1)]
    first = n_shared + (0 if moving == 1 else len(free[0]))
    axes = dict(enumerate(batched[1 - moving]))
    return axes | {first + number: axis for number, axis in enumerate(free[1 - moving])}


def _as_weight(factor: Array, equation: Equation, moving: int, weight: Array) -> Array:
    """Lay a factor of the result's shape out along the axes of the weights."""
    axes = _axes_of_weight(equation, moving)
    chosen = factor[tuple(slice(None) if axis in axes else 0 for axis in range(factor.ndim))]
    in_weight = [axes[axis] for axis in sorted(axes)]
    turned = jnp.transpose(chosen, [in_weight.index(axis) for axis in sorted(in_weight)])
    shape = [length if axis in in_weight else 1 for axis, length in enumerate(weight.shape)]
    return turned.reshape(shape).astype(weight.dtype)
