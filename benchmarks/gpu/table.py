"""The record as a short table."""

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


def table(found: dict[str, Any]) -> str:
    """Return the rows of every part under the columns that it has."""
    lines = [f"{found['device']}, commit {(found['commit'] or 'unknown')[:12]}, ceilings {found['ceilings']}"]
    for part in dict.fromkeys(row["part"] for row in found["rows"]):
        rows = [row for row in found["rows"] if row["part"] == part]
        columns = [name for name in SHORT if any(name in row for row in rows)]
        cells = [[part, *(SHORT[name] for name in columns)]]
        for row in rows:
            note = row.get("left out") or row.get("failed")
            shown = [_cell(row.get(name)) for name in columns]
            cells.append([row["row"], *shown] if note is None else [f"{row['row']}: {note}"[:100], *shown])
        widths = [max(len(line[column]) for line in cells) for column in range(len(columns) + 1)]
        lines.append("")
        for line in cells:
            first, *others = (text.rjust(width) for text, width in zip(line, widths, strict=True))
            lines.append("  ".join([first.strip().ljust(widths[0]), *others]))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
