"""The record in rows: what each method takes to an error, and the ratios with their aims."""

from collections.abc import Iterator
from typing import Any

from benchmarks.timing import cell, verdict

AIMS = {"paths": 3.0, "coalitions": 2.0}
"""Times fewer evaluations than midpoint at an equal gap, and than without pairs."""
HEAD = ("network, method", "to reach", "evaluations", "seconds per image", "reached by", "times fewer")
Row = tuple[str, ...]


def rows(found: dict[str, Any]) -> Iterator[Row]:
    """Return the rows of a record under ``HEAD``."""
    for network, own in found["networks"].items():
        for target, rules in own["paths"]["targets"].items():
            for rule, row in rules.items():
                probes = row["forward passes besides"]
                for kind in ("gap", "map"):
                    reached, gain = row[kind], row[kind]["midpoint over it, gradients"]
                    judged = rule != "midpoint" and kind == "gap"
                    yield (
                        f"{network}: {rule}, {target}",
                        f"{kind} 1 %",
                        f"{_figure(reached['gradients'])} gradients" + (f" + {probes} forward" if probes else ""),
                        *_common(reached["gradients"], reached["seconds"]),
                        "" if rule == "midpoint" else _gain(gain, AIMS["paths"] if judged else None),
                    )
        for method, row in own["masks"]["methods"].items():
            for kind in ("relative", "centered"):
                yield _of_tolerance(f"{network}: {method}", f"{kind} error", row[kind]["tolerances"], "0.1", "rise")
        for method, row in own["coalitions"]["methods"].items():
            for tolerance in row["tolerances"]:
                yield _of_tolerance(f"{network}: {method}", "error", row["tolerances"], tolerance, "plain")


def text(found: dict[str, Any]) -> str:
    """Return the record for the terminal."""
    lines = list(rows(found))
    widths = [max(len(row[column]) for row in (HEAD, *lines)) for column in range(len(HEAD))]
    shown = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in (HEAD, *lines)]
    shown += [f"{network}: {own['network']}; seconds {own['seconds']}" for network, own in found["networks"].items()]
    return "\n".join(shown + [f"{network}: {why}" for network, why in found["not measured"].items()])


def _of_tolerance(method: str, what: str, tolerances: dict[str, Any], tolerance: str, base: str) -> Row:
    row = tolerances[tolerance]
    aim = AIMS["coalitions"] if method.endswith(", paired") else None
    own = method.endswith((": rise", ", unpaired", ", one way"))
    gain = "" if own else _gain(row[f"{base} over it, evaluations"], aim)
    evaluations = row["evaluations"]
    return (method, f"{what} {tolerance}", _figure(evaluations), *_common(evaluations, row["seconds"]), gain)


def _common(reached: dict[str, Any], seconds: dict[str, Any]) -> tuple[str, str]:
    return _figure(seconds, "{:.2g}"), f"{reached['reached']:.0%}"


def _figure(row: dict[str, Any], form: str = "{:.0f}") -> str:
    return "not reached" if row["median"] is None else form.format(row["median"])


def _gain(gain: dict[str, Any] | None, aim: float | None) -> str:
    if gain is None:
        return "unknown"
    shown = ("at least " if gain["bounds"] else "") + cell(gain)
    return shown if aim is None else f"{shown} {verdict(gain, aim)} (aim {aim:g})"
