"""Two records side by side: which figures changed, and whether anything became slower.

    python -m benchmarks.compare A B [--margin 0.05]

A and B are JSON records, or folders of them (files of the same name are compared). Every figure with repeated values is
shown with its interval of the median. A figure is slower when the intervals do not overlap and B's median is worse than
A's by more than the margin. Seconds and bytes are better when small; rates, ratios and gains when large; other figures
(a share, a cosine) are shown and not judged.

Exit status: 0 nothing is slower, 1 something is, 2 the records cannot be compared.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import INTERVAL, interval_of_median

MARGIN = 0.05
SMALL_IS_GOOD = ("second", "bytes")
LARGE_IS_GOOD = ("per second", "ratio", "gain")
SAME_MACHINE = ("device", "processor")
DESCRIBE = {"commit", "changed", "load", "seconds"}
"""Entries of a record that tell how it came about, and may differ."""


class NotComparable(Exception):
    """The records cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Figure:
    """A median with its interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Row:
    """A figure in both records.

    Attributes:
        name: Where it stands in the record.
        before: In A.
        after: In B.
        verdict: "slower", "faster", "" where the intervals overlap or the change is within the margin, or "not judged".
    """

    name: str
    before: Figure
    after: Figure
    verdict: str

    @property
    def ratio(self) -> float:
        """B over A."""
        return self.after.median / self.before.median if self.before.median else float("nan")


def figures(record: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Figure]]:
    """Yield every figure with repeated values, by its place in the record."""
    if isinstance(record.get("values"), list) and "median" in record:
        low, high = record.get(INTERVAL) or interval_of_median(record["values"])
        yield place, Figure(record["median"], low, high)
        return
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from figures(value, f"{place} / {name}" if place else name)


def judge(name: str, before: Figure, after: Figure, margin: float) -> str:
    """Tell whether a figure is slower or faster, beyond its interval and the margin."""
    large = any(word in name for word in LARGE_IS_GOOD)
    if not large and not any(word in name for word in SMALL_IS_GOOD):
        return "not judged"
    rose = after.low > before.high and after.median > before.median * (1 + margin)
    fell = after.high < before.low and after.median < before.median * (1 - margin)
    if not rose and not fell:
        return ""
    return "faster" if rose == large else "slower"


def compare(before: Mapping[str, Any], after: Mapping[str, Any], *, margin: float = MARGIN) -> list[Row]:
    """Return the rows of two records.

    Raises:
        NotComparable: Other devices or settings, or figures of A that B lacks.
    """
    for name in SAME_MACHINE:
        if before.get(name) != after.get(name):
            raise NotComparable(
                f"A was measured with {name} {before.get(name)!r}, B with {after.get(name)!r}: figures of two machines "
                "say nothing about a change; measure both commits on one."
            )
    plain = (str, int, float, bool)
    for name in sorted({*before, *after} - DESCRIBE):
        one, other = before.get(name), after.get(name)
        if one != other and (isinstance(one, plain) or isinstance(other, plain)):
            raise NotComparable(f"{name} is {one!r} in A and {other!r} in B: measure both with the same settings.")
    old, new = dict(figures(before)), dict(figures(after))
    missing = [name for name in old if name not in new]
    if missing:
        shown = "; ".join(missing[:8]) + (f"; and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise NotComparable(f"B lacks {len(missing)} of A's {len(old)} figures: {shown}. Measure them, too.")
    return [Row(name, old[name], new[name], judge(name, old[name], new[name], margin)) for name in old]


def load(place: Path) -> dict[str, Any]:
    """Read one record.

    Raises:
        NotComparable: It does not exist, or is no JSON object.
    """
    try:
        record = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotComparable(f"{place} does not exist; records are files <benchmark>.json.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NotComparable(f"{place} cannot be read as JSON: {error}.") from None
    if not isinstance(record, dict):
        raise NotComparable(f"{place} holds a {type(record).__name__}, not the object that a benchmark writes.")
    return record


def pairs(a: Path, b: Path) -> dict[str, tuple[Path, Path]]:
    """Return the files to compare, by name.

    Raises:
        NotComparable: A file and a folder, a folder without records, or files of A that B lacks.
    """
    if a.is_dir() != b.is_dir():
        raise NotComparable(f"{a} and {b} must both be records or both be folders of records.")
    if not a.is_dir():
        return {a.stem: (a, b)}
    names = sorted(path.name for path in a.glob("*.json"))
    if not names:
        raise NotComparable(f"{a} holds no records (*.json).")
    lacking = [name for name in names if not (b / name).exists()]
    if lacking:
        raise NotComparable(f"{b} lacks {', '.join(lacking)}; measure them, or compare single files.")
    return {Path(name).stem: (a / name, b / name) for name in names}


def table(rows: list[Row]) -> str:
    """Return the rows as a table."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'figure':{width}}  {'A':>28}  {'B':>28}  {'B / A':>6}"]
    lines += [
        f"{row.name:{width}}  {row.before!s:>28}  {row.after!s:>28}  {row.ratio:6.2f}  {row.verdict}".rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path, metavar="A", help="a record, or a folder of records: before")
    parser.add_argument("b", type=Path, metavar="B", help="the same: after")
    parser.add_argument("--margin", type=float, default=MARGIN, help="change that counts for nothing (default 0.05)")
    chosen = parser.parse_args(words)
    found: list[Row] = []
    try:
        for name, (before, after) in pairs(chosen.a, chosen.b).items():
            try:
                rows = compare(load(before), load(after), margin=chosen.margin)
            except NotComparable as error:
                raise NotComparable(f"{name}: {error}") from None
            print(f"{name}\n{table(rows) if rows else 'holds no figure with repeated values'}\n")
            found += rows
        if not found:
            raise NotComparable(f"{chosen.a} holds no figure with repeated values; there is nothing to compare.")
    except NotComparable as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    slower = [row.name for row in found if row.verdict == "slower"]
    faster = sum(row.verdict == "faster" for row in found)
    print(f"{len(found)} figures: {len(slower)} slower, {faster} faster (beyond intervals and {chosen.margin:.0%})")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
