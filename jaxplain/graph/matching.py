"""Which rule each block receives: the one matching that ``rewrite`` acts on and ``audit`` prints.

A composite is a sequence of ``(predicate, rule)``; the first predicate that accepts a block decides. A block with parts
is offered first as a whole; where no predicate accepts it, its parts are. A custom derivative rule of the network's
author is offered as a whole, then what is inside it; where nothing inside receives a rule but ``KEEP`` it stays whole.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxplain._errors import InputError, unknown
from jaxplain.graph.blocks import Block, Placed, blocks_of
from jaxplain.graph.operations import known_kinds
from jaxplain.graph.predicates import AtPath, OfKind
from jaxplain.graph.rules import KEEP, Keep
from jaxplain.graph.trace import Traced
from jaxplain.graph.walk import Site

Rules = Sequence[tuple[Callable[[Block], bool], Any]]


@dataclass(frozen=True)
class Matched:
    """A block, and the rule that it receives, or None; of a custom derivative that is kept whole, what lacks one."""

    placed: Placed
    rule: Any
    lacking: Placed | None = None

    @property
    def acts(self) -> bool:
        """Whether the rule replaces the block's own derivative."""
        return not (self.rule is None or isinstance(self.rule, Keep))


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
            found = list(_offered(one, rules))
            matched += found
            replaced |= {each.placed.site for each in found if each.acts}
    entered = {site for one in matched if one.acts for site in one.placed.within}
    whole = {one.placed.site for one in matched if one.placed.nature == "custom" and one.rule is None} - entered
    kept = [
        one for one in matched if one.placed.site not in entered and all(site in entered for site in one.placed.within)
    ]
    return [_covered(one, matched) if one.placed.site in whole else one for one in kept], n_independent


def unmatched(where: str, rules: Rules, matched: Sequence[Matched]) -> InputError:
    """Build the error for a composite of which no predicate accepts a block."""
    kinds = sorted({one.placed.block.kind for one in matched})
    wanted = ", ".join(repr(predicate) for predicate, _ in rules)
    return InputError(
        f"{where}: no block is accepted by {wanted}; the function consists of {', '.join(kinds) or 'nothing'}. "
        "jaxplain.audit(f, x) lists its blocks."
    )


def without_rule(where: str, matched: Sequence[Matched]) -> InputError | None:
    """Build the error for blocks that depend on the input and have no rule, or return None if there are none."""
    bare = [one.lacking or one.placed for one in matched if one.rule is None and one.placed.matters]
    if not bare:
        return None
    first = bare[0].block
    at = f" in {first.path}" if first.path else ""
    more = f", nor for {len(bare) - 1} more" if len(bare) > 1 else ""
    what = "opaque call" if bare[0].nature == "opaque" else "operation"
    return InputError(
        f"{where}: there is no rule for the {what} {first.kind!r}{at} ({first.source}){more}; give it one in the "
        'composite, or pass unknown="gradient" to let it keep its derivative. jaxplain.audit lists the blocks.'
    )


def _offered(one: Placed, rules: Rules) -> Iterable[Matched]:
    whole = Matched(one, _rule(one, rules))
    if whole.rule is None:
        parts = [Matched(part, _rule(part, rules)) for part in one.parts]
        if any(part.rule is not None for part in parts):
            return parts
    return [whole]


def _rule(placed: Placed, rules: Rules) -> Any:
    if placed.nature == "while" or not any(placed.moving):
        return None
    return next((rule for predicate, rule in rules if predicate(placed.block)), None)


def _covered(one: Matched, matched: Sequence[Matched]) -> Matched:
    """Keep a custom derivative where all that is inside it keeps its own."""
    inside = [other for other in matched if one.placed.site in other.placed.within and other.placed.matters]
    lacking = next((other.placed for other in inside if other.rule is None), None)
    return Matched(one.placed, KEEP if inside and lacking is None else None, lacking)


def _check_kinds(rules: Rules, placed: Sequence[Placed]) -> None:
    words = [word for predicate, _ in rules if isinstance(predicate, OfKind | AtPath) for word in predicate.kinds]
    if not words:
        return
    here = {part.block.kind for one in placed for part in (one, *one.parts)}
    for word in words:
        if word not in here and word not in known_kinds():
            raise unknown("rewrite", "kind of block", word, here)
