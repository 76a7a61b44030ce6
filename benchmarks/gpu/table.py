"""The record as a short table."""

from collections.abc import Iterator
from typing import Any

SHORT = {
    "network": "network",
    "precision": "precision",
    "way": "way",
    "batch": "batch",
    "images": "images",
    "images/s": "images/s",
    "images/s, peer": "peer's",
    "as text": "ratio",
    "of bare": "of bare",
    "of ceiling": "of ceiling",
    "forward passes/s": "passes/s",
    "minutes for 300,000": "min for 300k",
    "compile seconds": "compile s",
    "cosine": "cosine",
}
"""The columns: the record's names and the table's."""


Head = tuple[str, ...]


def parts(found: dict[str, Any]) -> Iterator[tuple[Head, list[Head]]]:
    """Yield, per part, the names of the columns that it has and its rows."""
    for part in dict.fromkeys(row["part"] for row in found["rows"]):
        rows = [row for row in found["rows"] if row["part"] == part]
        columns = [name for name in SHORT if any(name in row for row in rows)]
        yield (
            (part, *(SHORT[name] for name in columns)),
            [(_named(row), *(_cell(row.get(name)) for name in columns)) for row in rows],
        )


def table(found: dict[str, Any]) -> str:
    """Return the rows of every part as plain text."""
    rates = ", ".join(f"{name} {row['GFLOP/s']:,.0f}" for name, row in found["ceilings"].items())
    lines = [f"{found['device']}, commit {(found['commit'] or 'unknown')[:12]}; matrix product, GFLOP/s: {rates}"]
    for head, rows in parts(found):
        widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
        lines.append("")
        for first, *others in (head, *rows):
            shown = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
            lines.append("  ".join([first.ljust(widths[0]), *shown]))
    return "\n".join(lines)


def _named(row: dict[str, Any]) -> str:
    note = row.get("left out") or row.get("failed")
    return row["row"] if note is None else f"{row['row']}: {note}"[:100]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
