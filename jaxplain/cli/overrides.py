"""Changes of a job on the command line: ``--set plan.batch=64``."""

import tomllib
from collections.abc import Iterable
from typing import Any

from jaxplain._errors import InputError


def override(table: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Return a parsed job with some keys set.

    A value is read as TOML (``64``, ``true``, ``[0, 1]``, ``"text"``); what is no TOML is a text.

    Args:
        table: The parsed job file; it is not changed.
        changes: Texts ``section.key=value``.

    Raises:
        InputError: A text without ``=``, or a key below something that is no table.

    Example:
        >>> override({"plan": {"chunk": 8}}, ["plan.batch=64", "output=runs/a"])
        {'plan': {'chunk': 8, 'batch': 64}, 'output': 'runs/a'}
    """
    changed = _copied(table)
    for change in changes:
        key, separator, text = change.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not separator or not all(parts):
            raise InputError(f"--set {change!r}: expected section.key=value, such as plan.batch=64.")
        below = changed
        for part in parts[:-1]:
            below = below.setdefault(part, {})
            if not isinstance(below, dict):
                raise InputError(f"--set {change!r}: {part!r} is a value and has no keys below it.")
        below[parts[-1]] = _value(text.strip())
    return changed


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _copied(table: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in table.items()}
