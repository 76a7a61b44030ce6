"""Tracing a function of one example into equations that can be read and evaluated again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxplain import _compat
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.core.score import output_of


@dataclass(frozen=True)
class Traced:
    """A traced function ``f(x)``.

    The program's inputs are the captured arrays (the leaves of ``f``, where ``f`` is a pytree such as a ``Score``)
    followed by the leaves of ``x``.
    """

    program: _compat.Program
    captured: tuple[Any, ...]
    in_tree: Any
    out_tree: Any
    out_shapes: tuple[jax.ShapeDtypeStruct, ...]

    @property
    def n_captured(self) -> int:
        """Number of program inputs that do not belong to ``x``."""
        return len(self.captured)

    def inputs(self, x: PyTree) -> list[Any]:
        """Return the program's inputs for an example."""
        leaves, tree = jax.tree.flatten(x)
        if tree != self.in_tree:
            raise TypeError(f"trace: traced for the input {self.in_tree}, called with {tree}.")
        return [*self.captured, *leaves]

    def program_at(self, site: Sequence[int]) -> _compat.Program:
        """Return the program that holds the equation at a site."""
        program = self.program
        for position, body in zip(site[:-1:2], site[1::2], strict=True):
            program = _compat.bodies_of(program.equations[position])[body]
        return program

    def output(self, leaves: Sequence[Any]) -> PyTree:
        """Put the program's outputs into the tree that ``f`` returns."""
        return jax.tree.unflatten(self.out_tree, leaves)


def trace(f: Model | Callable[[PyTree], PyTree], x: PyTree) -> Traced:
    """Trace a function of one example.

    The arrays inside ``f`` stay inputs of the program: under ``jit`` they are traced values, never baked in.

    Args:
        f: Any callable of one example: a pytree (a ``Score``, an Equinox module, a partial), a plain function, or a
            model, which stands for its outputs without the batch axis.
        x: The example, or its shape and dtype.

    Returns:
        The program with its captured arrays and the trees of input and output.
    """
    is_model = isinstance(f, Model)
    leaves, tree = jax.tree.flatten(f)
    slots = [position for position, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]
    captured = tuple(leaves[position] for position in slots)

    def call(arrays: tuple[Any, ...], example: PyTree) -> PyTree:
        filled = list(leaves)
        for position, value in zip(slots, arrays, strict=True):
            filled[position] = value
        function = jax.tree.unflatten(tree, filled)
        return output_of(function, example) if is_model else function(example)

    program, shapes = _compat.trace_program(call, captured, x)
    out_shapes, out_tree = jax.tree.flatten(shapes)
    return Traced(program, captured, jax.tree.structure(x), out_tree, tuple(out_shapes))
