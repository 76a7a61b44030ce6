"""A row of the accelerator's record: what was measured, or why it was not."""

from typing import Any

Row = dict[str, Any]

LEFT_OUT: Row = {"left out": "no time was left"}
"""What a row says that did not fit."""


def failed(error: Exception) -> Row:
    """Return what a row says whose measurement broke."""
    return {"failed": f"{type(error).__name__}: {error}"[:300]}
