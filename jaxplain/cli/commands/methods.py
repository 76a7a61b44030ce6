"""``jaxplain methods``: the table of methods, read from the registry."""

import argparse
from typing import Any

from jaxplain.cli.streams import Streams

HELP = "list the methods, what they need and their knobs"
DESCRIPTION = """\
List the methods: what must be given for each, its knobs with their defaults, the axioms that it satisfies. In a job
file these are the keys of [methods.<name>]. Wrappers make a method of any method."""
EXAMPLES = """\
  jaxplain methods
  jaxplain methods smoothgrad        one method or wrapper, with its whole description
  jaxplain methods --markdown        the table of the documents"""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("method", nargs="?", help="one method; all by default")
    parser.add_argument("--markdown", action="store_true", help="write a Markdown table")


def execute(arguments: argparse.Namespace, streams: Streams) -> int:
    """Write the table, or the description of one method."""
    import inspect

    import jaxplain.methods  # noqa: F401  (fills the registry)
    from jaxplain._registry import METHODS, WRAPPERS, find_method

    if arguments.markdown:
        streams.results.print(markdown(), soft_wrap=True, markup=False, highlight=False)
        return 0
    if arguments.method is not None:
        name = arguments.method
        entry = WRAPPERS[name].entry if name in WRAPPERS else find_method(name)
        _write(entry, streams)
        streams.results.print(f"\n{inspect.getdoc(entry.function) or ''}", soft_wrap=True)
        return 0
    for number, entry in enumerate(METHODS[name] for name in sorted(METHODS)):
        if number:
            streams.results.print()
        _write(entry, streams)
    heading = "\nWrappers of any method, as tables of keys: smooth = {n_samples = 8}"
    streams.results.print(heading, soft_wrap=True, markup=False)
    for name in sorted(WRAPPERS):
        streams.results.print()
        _write(WRAPPERS[name].entry, streams)
    return 0


def markdown() -> str:
    """Return the methods as a Markdown table."""
    import jaxplain.methods  # noqa: F401  (fills the registry)
    from jaxplain._registry import METHODS

    lines = ["| method | what it does | you give | knobs | axioms |", "|---|---|---|---|---|"]
    for name in sorted(METHODS):
        entry = METHODS[name]
        given = ", ".join(f"`{word}`{' (optional)' * (word in entry.optional)}" for word in entry.context)
        knobs = ", ".join(
            f"`{word}={knob.default!r}`" for word, knob in entry.knobs.items() if knob.kind != "execution"
        )
        axioms = ", ".join(entry.axioms).replace("_", " ")
        lines.append(f"| `{name}` | {entry.summary} | {given} | {knobs} | {axioms} |")
    return "\n".join(lines)


def _write(entry: Any, streams: Streams) -> None:
    from rich.text import Text

    needed = [f"{name}{' (optional)' * (name in entry.optional)}" for name in entry.context if name != "key"]
    knobs = [f"{name} = {_value(knob.default)}{_range(knob)}" for name, knob in entry.knobs.items()]
    rows = (
        ("give", ", ".join(needed)),
        ("knobs", "; ".join(knobs)),
        ("axioms", ", ".join(entry.axioms).replace("_", " ")),
    )
    streams.results.print(Text(entry.name, "bold"), Text(f"  {entry.summary}"), sep="", soft_wrap=True)
    for name, text in rows:
        if text:
            streams.results.print(Text(f"    {name:<7} ", "dim"), Text(text), sep="", soft_wrap=True)


def _value(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, str):
        return f'"{default}"'
    return '"none"' if default is None else str(list(default) if isinstance(default, tuple) else default)


def _range(knob: Any) -> str:
    if len(knob.choices) > 1:
        return " (or " + ", ".join(_value(choice) for choice in knob.choices if choice != knob.default) + ")"
    return ""
