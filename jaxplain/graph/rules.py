"""What a rule is: the backward pass of one block.

A rule is a frozen object with a method ``backward(call, cotangents)``. It should be equal by value (a frozen
dataclass), or a pytree whose arrays are traced; ``name``, where it has one, is what the audit prints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax

from jaxplain._typing import Array
from jaxplain.graph.blocks import Block

Arrays = tuple[Array, ...]


@dataclass(frozen=True)
class Call:
    """One block in the backward pass, as its rule sees it.

    Args:
        block: The place: kind, path, position, shape.
        run: The block as a function of the inputs that depend on the example: a tuple of its outputs. What does not
            depend on the example, such as weights, is fixed in it.
        inputs: The values of these inputs; an elementwise activation has one.
    """

    block: Block
    run: Callable[..., Arrays]
    inputs: Arrays

    @property
    def outputs(self) -> Arrays:
        """What the block computed."""
        return self.run(*self.inputs)

    def pull(self, cotangents: Arrays) -> Arrays:
        """Pull cotangents of the outputs back by the block's own derivative."""
        return jax.vjp(self.run, *self.inputs)[1](cotangents)


@runtime_checkable
class Rule(Protocol):
    """The protocol of rules."""

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return one cotangent per entry of ``call.inputs``, of its shape and dtype.

        Args:
            call: The block.
            cotangents: One per output of the block.
        """
        ...


def name_of(rule: Any) -> str:
    """Return how a rule is called in print."""
    if isinstance(rule, str):
        return rule
    return str(getattr(rule, "name", None) or getattr(rule, "__name__", None) or type(rule).__name__)
