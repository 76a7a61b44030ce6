"""Predicates that are equal by value: which blocks a rule is meant for.

Any function of a ``Block`` to a truth value is a predicate; these compile once when they are built again, and a
misspelled kind is noticed.
"""

import re
from dataclasses import dataclass

from jaxplain.graph.blocks import Block
from jaxplain.graph.operations import LINEAR, SELECTING


@dataclass(frozen=True)
class OfKind:
    """Accept blocks of some kinds.

    Args:
        kinds: Kinds as ``jaxplain.audit`` prints them.

    Example:
        >>> OfKind("relu", "relu6")
        OfKind('relu', 'relu6')
    """

    kinds: tuple[str, ...]

    def __init__(self, *kinds: str) -> None:
        object.__setattr__(self, "kinds", kinds)

    def __repr__(self) -> str:
        return f"OfKind({', '.join(map(repr, self.kinds))})"

    def __call__(self, block: Block) -> bool:
        """Tell whether the block is of one of the kinds."""
        return block.kind in self.kinds


@dataclass(frozen=True)
class AtPath:
    """Accept blocks whose module path contains a match of a regular expression.

    Args:
        pattern: The expression, as ``re.search`` takes it.
        kinds: The kinds to which the choice is limited; all by default.
    """

    pattern: str
    kinds: tuple[str, ...] = ()

    def __call__(self, block: Block) -> bool:
        """Tell whether the path fits, and the kind."""
        return re.search(self.pattern, block.path) is not None and (not self.kinds or block.kind in self.kinds)


@dataclass(frozen=True)
class ReadsInput:
    """Accept affine blocks that read the input itself: the first layer, behind reshapes and paddings at most.

    Args:
        kinds: The kinds to which the choice is limited.
    """

    kinds: tuple[str, ...] = ("conv", "dot")

    def __call__(self, block: Block) -> bool:
        """Tell whether the block is one of the kinds and reads the input."""
        return block.reads_input and block.kind in self.kinds


@dataclass(frozen=True)
class Linear:
    """Accept blocks that are linear, up to a constant, in what depends on the input: sums, products with weights,
    averages and whatever only moves entries.
    """

    def __call__(self, block: Block) -> bool:
        """Tell whether the block is linear."""
        return block.kind in LINEAR


@dataclass(frozen=True)
class Selecting:
    """Accept blocks whose outputs are entries of their inputs, chosen by value: maxima, sorting, clipping."""

    def __call__(self, block: Block) -> bool:
        """Tell whether the block selects."""
        return block.kind in SELECTING
