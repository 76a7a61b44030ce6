"""Every form of every kernel against the plain one, as in ``benchmarks.kernels``."""

from collections.abc import Iterator
from typing import Any

from benchmarks.gpu.clock import LEFT_OUT, Clock
from benchmarks.kernels import measure, settings
from benchmarks.timing import cell

Row = dict[str, Any]


def rows(clock: Clock, *, small: bool, rounds: int) -> Iterator[Row]:
    """Yield a row per operation, case, form and direction."""
    for op, case, setting in settings(size="SMALL" if small else "LARGE"):
        name = f"{op.name}, {case}"
        if clock.left < 0:
            yield {"row": name} | LEFT_OUT
            continue
        try:
            found = measure(op, setting, rounds)
        except Exception as error:  # a form that fails is a row of the table
            yield {"row": name, "failed": f"{type(error).__name__}: {error}"[:300]}
            continue
        for form, directions in found.items():
            for direction, times in directions.items():
                yield {
                    "row": f"{name}: {form}, {direction}",
                    "milliseconds": times["milliseconds"],
                    "ratio": times["ratio"],
                    "as text": cell(times["ratio"]),
                }
