"""The audit: what happens to each traced equation when a function is explained.

A composite is a sequence of ``(predicate, rule)``; the first predicate that accepts a block decides. A predicate
takes a ``Block``; a rule is named by its ``name``, or by its class or function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxplain import _compat
from jaxplain._typing import PyTree
from jaxplain.core.model import Model
from jaxplain.graph.flow import Step, steps
from jaxplain.graph.names import naming, place
from jaxplain.graph.operations import activation_name, operation_name
from jaxplain.graph.trace import trace

Rules = Sequence[tuple[Callable[["Block"], bool], Any]]


@dataclass(frozen=True)
class Block:
    """What a predicate sees of a place in the network.

    Args:
        kind: What is computed: ``conv``, ``dot``, ``relu``, ``max_pool`` or the name of the primitive.
        path: The module path, ``""`` outside of all modules.
        position: Its number among the blocks in the order of evaluation; None inside a scan, where it runs many times.
        shape: The shape of its first output, with the network's batch axis.
        dtype: The dtype of its first output.
        source: The line of the user's code.
    """

    kind: str
    path: str
    position: int | None
    shape: tuple[int, ...]
    dtype: str
    source: str


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
            lines.append(("" if path == previous else path, row.block.kind, shape, row.rule))
            previous = path
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        counted = ", ".join(f"{count} {rule}" for rule, count in self.counts().items())
        return "\n".join([*table, "", f"{counted}; {self.n_independent} equations do not depend on the input."])


def audit(f: Model | Callable[[PyTree], PyTree], x: PyTree, rules: Rules = ()) -> Audit:
    """Tell which rule each traced equation receives.

    Args:
        f: A model, a score or any function of one example.
        x: One example, or its shape and dtype.
        rules: The composite; without one every block keeps its own gradient.

    Returns:
        The table. Rules without a match read ``gradient``, or ``custom gradient`` where the author of the network wrote
        one, ``no gradient`` inside a while loop, and ``opaque`` for calls that cannot be looked into.

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
    found = [step for step in steps(trace(f, x)) if _is_block(step)]
    places = {step.site: place(step.scopes) for step in found}
    name_of = naming(places[step.site] for step in found if step.depends)
    rows: list[Row] = []
    for step in found:
        if step.depends:
            block = _block(step, name_of(places[step.site].path), len(rows))
            rows.append(Row(block, _rule(block, step, rules)))
    return Audit(tuple(rows), len(found) - len(rows))


def _is_block(step: Step) -> bool:
    """Tell whether a rule would see this equation as a whole: calls are looked into, custom rules are not."""
    if any(_whole(outer) for outer in step.enclosing):
        return False
    return _whole(step.equation) or not _compat.bodies_of(step.equation)


def _whole(equation: _compat.Equation) -> bool:
    return _compat.kind_of(equation) in ("custom", "opaque") or bool(activation_name(equation))


def _block(step: Step, path: str, position: int) -> Block:
    aval: Any = step.equation.outvars[0].aval if step.equation.outvars else None
    return Block(
        operation_name(step.equation),
        path,
        None if step.loops else position,
        tuple(getattr(aval, "shape", ())),
        str(getattr(aval, "dtype", "")),
        _compat.source_line(step.equation),
    )


def _rule(block: Block, step: Step, rules: Rules) -> str:
    for predicate, rule in rules:
        if predicate(block):
            return (
                rule
                if isinstance(rule, str)
                else str(getattr(rule, "name", None) or getattr(rule, "__name__", None) or type(rule).__name__)
            )
    if any(_compat.kind_of(outer) == "while" for outer in step.enclosing):
        return "no gradient"
    return {"custom": "custom gradient", "opaque": "opaque"}.get(_compat.kind_of(step.equation), "gradient")
