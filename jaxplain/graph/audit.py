"""The audit: what happens to each traced equation when a function is explained.

The matching is the one that ``jaxplain.rewrite`` acts on. A rule is named by its ``name``, or by its class or function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.blocks import Block as Block
from jaxplain.graph.matching import Matched, Rules, match
from jaxplain.graph.rules import name_of
from jaxplain.graph.trace import trace


@dataclass(frozen=True)
class Row:
    """A block and the rule that it receives."""

    block: Block
    rule: str


@dataclass(frozen=True)
class Audit:
    """The table of all blocks that depend on the input; ``str`` prints it.

    Args:
        rows: One entry per block, in the order of evaluation.
        n_independent: How many equations do not depend on the input: they need no rule.
    """

    rows: tuple[Row, ...]
    n_independent: int

    def counts(self) -> dict[str, int]:
        """Return how many blocks received each rule."""
        result: dict[str, int] = {}
        for row in self.rows:
            result[row.rule] = result.get(row.rule, 0) + 1
        return result

    def __str__(self) -> str:
        lines = [("path", "block", "shape", "rule")]
        previous = None
        for row in self.rows:
            path = row.block.path or "-"
            shape = f"{row.block.dtype}[{','.join(map(str, row.block.shape))}]"
            lines.append(("" if path == previous else path, _named(row.block), shape, row.rule))
            previous = path
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        counted = ", ".join(f"{count} {rule}" for rule, count in self.counts().items())
        return "\n".join([*table, "", f"{counted}; {self.n_independent} equations do not depend on the input."])


def audit(
    f: Model | Callable[[PyTree], PyTree],
    x: PyTree,
    rules: Rules = (),
    *,
    unknown: Literal["raise", "gradient"] = "gradient",
) -> Audit:
    """Tell which rule each traced equation receives.

    Args:
        f: A model, a score or any function of one example.
        x: One example, or its shape and dtype.
        rules: The composite; without one every block keeps its own gradient.
        unknown: As in ``rewrite``: with "raise", a block without a rule would be refused, and reads ``NO RULE``.

    Returns:
        The table. Blocks without a rule read ``gradient``, or ``custom gradient`` where the author of the network wrote
        one, ``no gradient`` inside a while loop, and ``opaque`` for calls that cannot be looked into.

    Raises:
        InputError: A predicate names a kind of block that does not exist.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxplain.graph.audit import audit
        >>> print(audit(lambda x: jax.nn.relu(x).sum(), jnp.ones(3)))
        path  block       shape       rule
        -     relu        float32[3]  custom gradient
              reduce_sum  float32[]   gradient
        <BLANKLINE>
        1 custom gradient, 1 gradient; 0 equations do not depend on the input.
    """
    matched, n_independent = match(trace(f, x), rules)
    return Audit(tuple(Row(one.placed.block, _outcome(one, unknown)) for one in matched), n_independent)


def _named(block: Block) -> str:
    """Return a block's kind; for an affine run what follows the product as well."""
    affine = block.parts and block.parts[0] == block.kind
    return " + ".join(dict.fromkeys(block.parts)) if affine else block.kind


def _outcome(matched: Matched, unknown: str) -> str:
    if matched.rule is not None:
        return name_of(matched.rule)
    if unknown == "raise" and matched.placed.matters:
        return "NO RULE"
    natures = {"while": "no gradient", "custom": "custom gradient", "opaque": "opaque"}
    return natures.get(matched.placed.nature, "gradient")
