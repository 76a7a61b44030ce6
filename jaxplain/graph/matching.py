"""Which rule each block receives: the one matching that ``rewrite`` acts on and ``audit`` prints.

A composite is a sequence of ``(predicate, rule)``; the first predicate that accepts a block decides. A custom
derivative rule of the network's author is offered first as a whole, then what is inside it; where nothing inside
receives a rule it stays whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxplain._errors import InputError, unknown
from jaxplain.graph.blocks import Block, Placed, blocks_of
from jaxplain.graph.operations import known_kinds
from jaxplain.graph.predicates import AtPath, OfKind
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Site

Rules = Sequence[tuple[Callable[[Block], bool], Any]]


@dataclass(frozen=True)
class Matched:
    """A block, and the rule that it receives, or None."""

    placed: Placed
    rule: Any


def match(traced: Traced, rules: Rules) -> tuple[list[Matched], int]:
    """Match the blocks of a traced function.

    Blocks inside a while loop receive no rule, since reverse mode does not reach them, nor do blocks of which nothing
    can be differentiated.

    Args:
        traced: The traced function.
        rules: The composite.

    Returns:
        One entry for each block that is kept as one, and how many blocks do not depend on the input.

    Raises:
        InputError: A predicate names a kind that does not exist.
    """
    placed, n_independent = blocks_of(traced)
    _check_kinds(rules, placed)
    matched: list[Matched] = []
    replaced: set[Site] = set()
    for one in placed:
        if replaced.isdisjoint(one.within):
            matched.append(Matched(one, _rule(one, rules)))
            replaced |= {one.site} if matched[-1].rule is not None else set()
    entered = {site for one in matched if one.rule is not None for site in one.placed.within}
    kept = [
        one for one in matched if one.placed.site not in entered and all(site in entered for site in one.placed.within)
    ]
    return kept, n_independent


def unmatched(rules: Rules, matched: Sequence[Matched]) -> InputError:
    """Build the error for a composite of which no predicate accepts a block."""
    kinds = sorted({one.placed.block.kind for one in matched})
    wanted = ", ".join(repr(predicate) for predicate, _ in rules)
    return InputError(
        f"rewrite: no block is accepted by {wanted}; the function consists of {', '.join(kinds) or 'nothing'}. "
        "jaxplain.audit(f, x) lists its blocks."
    )


def _rule(placed: Placed, rules: Rules) -> Any:
    if placed.nature == "while" or not any(placed.moving):
        return None
    return next((rule for predicate, rule in rules if predicate(placed.block)), None)


def _check_kinds(rules: Rules, placed: Sequence[Placed]) -> None:
    words = [word for predicate, _ in rules if isinstance(predicate, OfKind | AtPath) for word in predicate.kinds]
    if not words:
        return
    here = {one.block.kind for one in placed}
    for word in words:
        if word not in here and word not in known_kinds():
            raise unknown("rewrite", "kind of block", word, here)
