"""What is missing or damaged in a store, and the command that does it."""

import json
from collections.abc import Sequence

from rich.console import Console

from jaxplain._errors import InputError
from jaxplain.cli.build import ORIGIN
from jaxplain.cli.failures import BAD_INPUT, INCOMPLETE
from jaxplain.cli.plain import plain
from jaxplain.io.inspection import Fault, mend
from jaxplain.io.storage import Storage
from jaxplain.io.store import ROWS, Store

MOST_RANGES = 8
MAX_LISTED = 100


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
            f"{store.storage.url}: not finished, so there is nothing to aggregate; {command_of(store.storage)} does "
            f"what is missing:{''.join(lines)}"
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


def show_faults(storage: Storage, faults: Sequence[Fault], console: Console, *, mending: bool) -> int:
    """List what is damaged, mend it where that is asked for, and say what comes next; return the exit code.

    Args:
        storage: The store.
        faults: At least one, see ``jaxplain.io.inspection``.
        console: Where to.
        mending: Whether to declare damaged shards unfinished.
    """

    def say(text: str) -> None:
        console.print(plain(text), soft_wrap=True)

    for fault in faults[:MAX_LISTED]:
        say(str(fault))
    if len(faults) > MAX_LISTED:
        say(f"and {len(faults) - MAX_LISTED:,} more.")
    lost = [fault for fault in faults if not fault.can_be_mended]
    for fault in lost:
        say(f"{fault.where} is not made again: {_RESTORE[fault.kind]}.")
    if len(lost) == len(faults):
        return BAD_INPUT
    again = " and ".join(command_of(storage, command) for command in _commands(faults))
    if not mending:
        say(f"`jaxplain verify {storage.url} --mend` declares what is damaged unfinished; {again} makes it anew.")
        return BAD_INPUT
    mend(storage, faults)
    say(f"Not finished: what is damaged is made anew by {again}.")
    return BAD_INPUT if lost else INCOMPLETE


def _commands(faults: Sequence[Fault]) -> list[str]:
    """Return the commands that make anew what is damaged."""
    of_sweeps = {(fault.name or fault.where).startswith("peppr") for fault in faults if fault.can_be_mended}
    return [command for command, sweeps in (("run", False), ("peppr", True)) if sweeps in of_sweeps]


_RESTORE = {
    "manifest": "restore it from a copy, or start in a new output",
    "index": "restore it from a copy; maps and rows do not depend on it",
}


def command_of(storage: Storage, command: str = "run") -> str:
    """Return the command that does what is missing in a store."""
    try:
        file = str(json.loads(storage.read(ORIGIN) or b"{}").get("file", "JOB.toml"))
    except (ValueError, AttributeError):
        file = "JOB.toml"
    return f"`jaxplain {command} {file}`"
