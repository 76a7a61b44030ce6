"""Predicates that are equal by value: which blocks a rule is meant for.

Any function of a ``Block`` to a truth value is a predicate; these compile once when they are built again, and a
misspelled kind is noticed.
"""

import re
from dataclasses import dataclass

from jaxplain.graph.blocks import Block


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
