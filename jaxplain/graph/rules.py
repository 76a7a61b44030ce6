"""What a rule is: the backward pass of one block.

A rule is a frozen object with a method ``backward(call, cotangents)``. It should be equal by value (a frozen
dataclass), or a pytree whose arrays are traced; ``name``, where it has one, is what the audit prints.

Two more members are optional:

* ``record(call)`` returns arrays that the block leaves behind at another example, a reference or a noisy copy. A
  rewritten function that is evaluated with recordings hands them to ``backward`` as ``call.recorded``.
* ``to_input = True``: the rule gives relevance to entries of the input that may be zero, so ``backward`` returns
  relevance, not cotangents. It is written to the map itself, and the block must read the input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax

from jaxplain._typing import Array, PyTree
from jaxplain.graph.blocks import Block
from jaxplain.graph.recognition.affine import Affine

Arrays = tuple[Array, ...]


@dataclass(frozen=True)
class Call:
    """One block in the backward pass, as its rule sees it.

    Args:
        block: The place: kind, path, position, shape.
        run: The block as a function of the inputs that depend on the example: a tuple of its outputs. What does not
            depend on the example, such as weights, is fixed in it.
        inputs: The values of these inputs; an elementwise activation has one.
        outputs: What the block computed of them.
        fast: The same function as ``run``, maybe in another form, which can be differentiated in reverse mode alone.
        affine: The block as ``product(x, weight) + shift``; None where it is no affine run.
        held: The same function as ``run`` whose derivative takes the scale of a normalization for a constant.
        recorded: What the rule's ``record`` returned at another example, or None.
        nonnegative: Which of the inputs are known to be nowhere negative, whatever the example and the weights are
            (``jaxplain.graph.signs``); NaN may occur in them.
    """

    block: Block
    run: Callable[..., Arrays]
    inputs: Arrays
    outputs: Arrays
    fast: Callable[..., Arrays]
    affine: Affine | None = None
    held: Callable[..., Arrays] | None = None
    recorded: PyTree = None
    nonnegative: tuple[bool, ...] = ()

    def pull(self, cotangents: Arrays, at: Arrays | None = None) -> Arrays:
        """Pull cotangents of the outputs back by the block's own derivative, at its inputs or at other ones."""
        found: Arrays = jax.vjp(self.fast, *(self.inputs if at is None else at))[1](cotangents)
        return found


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


@dataclass(frozen=True)
class Keep:
    """Leave a block its own derivative: for what a composite knows to be right as it is."""

    name: str = "derivative"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return what the block's derivative does."""
        return call.pull(cotangents)


KEEP = Keep()
"""The rule that changes nothing; a block that has it counts as known."""


def name_of(rule: Any) -> str:
    """Return how a rule is called in print."""
    if isinstance(rule, str):
        return rule
    return str(getattr(rule, "name", None) or getattr(rule, "__name__", None) or type(rule).__name__)
