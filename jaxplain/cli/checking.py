"""What is wrong with the shards of a store: missing ones, and ones that are not what their markers vouch for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from jaxplain._errors import InputError
from jaxplain.cli.build import ORIGIN
from jaxplain.io.store import ROWS, Store

MOST_RANGES = 8


@dataclass(frozen=True)
class Damaged:
    """A shard that disagrees with its digests.

    Args:
        name: The method, or ``rows``.
        shard: Its number.
        first: Its first image.
        last: Its last image.
    """

    name: str
    shard: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.name}: shard {self.shard} (images {self.first} to {self.last})"


def refuse_incomplete(store: Store, methods: Sequence[str]) -> None:
    """Refuse a store in which images of some methods are missing.

    Args:
        store: The store.
        methods: Names of the methods.

    Raises:
        InputError: With the ranges that are missing, by method.
    """
    lines = []
    for name in (ROWS, *methods):
        missing = (~store.finished_rows(name)).nonzero()[0]
        if len(missing):
            lines.append(f"\n  {name}: {_ranges(missing.tolist())}")
    if lines:
        raise InputError(
            f"{store.storage.url}: not finished, so there is nothing to aggregate; {command_of(store)} does what is "
            f"missing:{''.join(lines)}"
        )


def _ranges(numbers: Sequence[int]) -> str:
    """Return whole numbers as ranges, the first of them.

    Example:
        >>> _ranges([0, 1, 2, 5, 8, 9])
        'images 0 to 2, 5, 8 to 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in runs[:MOST_RANGES]]
    more = f" and {len(runs) - MOST_RANGES} more ranges" if len(runs) > MOST_RANGES else ""
    return f"images {', '.join(shown)}{more}"


def unmark_damaged(store: Store) -> list[Damaged]:
    """Declare shards unfinished whose stored arrays disagree with their digests, and what was made of them.

    Args:
        store: The store; nothing else may write to it meanwhile.

    Returns:
        The shards.
    """
    names = list(dict.fromkeys([ROWS, *store.manifest.get("methods", {}), *store.names]))
    found = []
    for name in names:
        for marker in store.ledger.finished(name).values():
            if store.ledger.damaged(marker):
                last = marker.first_row + marker.rows - 1
                found.append(Damaged(name, marker.shard, marker.first_row, last))
    if found:
        store.storage.delete("peppr/results.json")
    for name in names if any(one.name == ROWS for one in found) else {one.name for one in found}:
        store.ledger.unmark(f"global/{name}", 0)
    for one in found:
        store.ledger.unmark(one.name, one.shard)
    return found


def command_of(store: Store) -> str:
    """Return the command that does what is missing in a store."""
    try:
        file = str(json.loads(store.storage.read(ORIGIN) or b"{}").get("file", "JOB.toml"))
    except (ValueError, AttributeError):
        file = "JOB.toml"
    return f"`jaxplain run {file}`"
