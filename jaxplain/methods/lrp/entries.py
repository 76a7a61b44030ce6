"""The entries of a composite for one network: names looked up, bounds brought to the blocks, what matches nothing
refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from jaxplain._errors import InputError, InputTypeError
from jaxplain._typing import Array, ScoreFn
from jaxplain.graph.blocks import Block
from jaxplain.graph.matching import match, unmatched
from jaxplain.graph.placing import Placement
from jaxplain.graph.rewrite import rewrite
from jaxplain.methods.lrp.composites import COMMON, Entry, named
from jaxplain.methods.lrp.first_layer import ZBox


@dataclass(frozen=True)
class Exactly:
    """Accept one block.

    Args:
        block: The block.
    """

    block: Block

    def __call__(self, block: Block) -> bool:
        """Tell whether it is the one."""
        return block == self.block


def entries(
    f: ScoreFn,
    x: Array,
    composite: str | Sequence[Entry],
    low: float | Array | None = None,
    high: float | Array | None = None,
) -> tuple[Entry, ...]:
    """Return all entries of a composite, the common ones last.

    Raises:
        InputError: No such composite; no pair accepts a block; none reads the input where the composite has a rule for
            those that do.
        InputTypeError: The composite is neither a name nor pairs, or bounds are missing.
    """
    if isinstance(composite, str):
        own = named(composite, low, high, where="lrp")
        expected = tuple(entry for entry in own if getattr(entry[1], "to_input", False))
        if not expected:
            return (*own, *COMMON)
    elif isinstance(composite, tuple | list):
        own = expected = tuple(composite)
    else:
        raise InputTypeError(f"lrp: composite must be a name or a tuple of pairs (predicate, rule), got {composite!r}.")
    placement = rewrite(f, (*own, *COMMON), where="lrp").placement(x)
    matched, _ = match(placement.traced, expected)
    if all(one.rule is None for one in matched):
        if not isinstance(composite, str):
            raise unmatched("lrp", own, matched)
        raise InputError(
            f"lrp: {composite!r} has a rule for the layer that reads the input itself, and none does; preprocess "
            "images before they are explained, or choose a composite without such a rule."
        )
    return (*_boxes(placement, x), *own, *COMMON)


def _boxes(placement: Placement, x: Array) -> list[tuple[Any, ZBox]]:
    """Return an entry for each block under z-box, with the bounds moved as the block's input is."""
    boxes = []
    for one in placement.acting:
        if isinstance(one.rule, ZBox):
            bounds = {
                word: placement.read(jnp.broadcast_to(jnp.asarray(bound, x.dtype), x.shape))[one.placed.site][0]
                for word, bound in (("low", one.rule.low), ("high", one.rule.high))
            }
            boxes.append((Exactly(one.placed.block), replace(one.rule, **bounds)))
    return boxes
