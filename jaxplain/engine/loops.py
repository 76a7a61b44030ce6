"""How much more a compiled program does than XLA counts: it takes the body of every loop once.

XLA's optimized text names the rounds of most loops. Products of matrices and convolutions, which are nearly all of a
network's work, are added up twice from it: with every body as often as its loop runs, and with every body once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPERATION = re.compile(r" ([a-z][\w\-]*)\(")
_SHAPE = re.compile(r"^\w+\[([\d,]*)\]")
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}|(?:true|false)_computation=%?([\w.\-]+)")
_ROUNDS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")
_KERNEL = re.compile(r"dim_labels=\w+_(\w+)->")
_DILATED = re.compile(r"lhs_dilate=([\dx]+)")


@dataclass(frozen=True)
class _Work:
    """Operations of products, with loops counted and without; whether the rounds of all loops are known."""

    counted: float = 0.0
    once: float = 0.0
    known: bool = True

    def __add__(self, other: "_Work") -> "_Work":
        return _Work(self.counted + other.counted, self.once + other.once, self.known and other.known)

    def looped(self, rounds: int | None) -> "_Work":
        """Return the work of a loop with this body."""
        if rounds is None:
            return _Work(self.counted, self.once, self.known and not self.once)
        return _Work(self.counted * rounds, self.once, self.known)


def loop_factor(text: str) -> float | None:
    """Return the operations of products with loops counted, over those with every body counted once.

    Args:
        text: What ``compiled.as_text()`` returns.

    Returns:
        At least 1; None where a loop with products does not tell how often it runs.
    """
    computations, entry = _parted(text)
    done: dict[str, _Work] = {}

    def work(name: str) -> _Work:
        if name not in done:
            done[name] = sum((one(line, computations[name]) for line in computations.get(name, {}).values()), _Work())
        return done[name]

    def one(line: str, shapes: dict[str, str]) -> _Work:
        operation = _OPERATION.search(line)
        kind = operation[1] if operation else ""
        if kind in ("dot", "convolution"):
            number = _product(kind, line, line[operation.end() :] if operation else "", shapes)
            return _Work(number, number)
        called = sum((work(name) for name in _CALLED.findall(line)), _Work())
        if kind == "while":
            rounds = _ROUNDS.search(line)
            return called.looped(int(rounds[1]) if rounds else None)
        branches = [work(name) for name in _branches(line)] if kind == "conditional" else []
        return called + max(branches, key=lambda branch: branch.once, default=_Work())

    whole = work(entry)
    if not whole.known:
        return None
    return whole.counted / whole.once if whole.once else 1.0


def _parted(text: str) -> tuple[dict[str, dict[str, str]], str]:
    """Return the instructions of every computation by name, and the name of the first to run."""
    computations: dict[str, dict[str, str]] = {}
    entry, name = "", ""
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            name = head[2]
            computations[name] = {}
            entry = name if head[1] else entry
        elif name and (found := _INSTRUCTION.match(line)):
            computations[name][found[1]] = " " + found[2]
    return computations, entry


def _branches(line: str) -> Iterator[str]:
    for several, single in _BRANCHES.findall(line):
        yield from (name.strip().removeprefix("%") for name in several.split(",") if name.strip())
        if single:
            yield single


def _product(kind: str, line: str, arguments: str, shapes: dict[str, str]) -> float:
    """Return the operations of a product of matrices, or of a convolution."""
    operands = [_shape(shapes.get(name, "")) for name in _OPERAND.findall(arguments)[:2]]
    if len(operands) < 2:
        return 0.0
    if kind == "dot":
        contracted = _CONTRACTED.search(line)
        axes = [int(axis) for axis in contracted[1].split(",") if axis] if contracted else []
        return 2.0 * prod(_shape(line)) * prod(operands[0][axis] for axis in axes)
    labels, dilated = _KERNEL.search(line), _DILATED.search(line)
    outputs = operands[1][labels[1].index("o")] if labels else 1
    # Of a dilated input all but every so many entries are zeros, which XLA does not count.
    zeros = prod(int(size) for size in dilated[1].split("x")) if dilated else 1
    return 2.0 * prod(_shape(line)) * prod(operands[1]) / outputs / zeros


def _shape(line: str) -> tuple[int, ...]:
    found = _SHAPE.match(line.strip())
    return tuple(int(size) for size in found[1].split(",") if size) if found else ()
