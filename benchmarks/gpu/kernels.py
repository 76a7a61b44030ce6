"""Every form of every kernel against the plain one, as in ``benchmarks.kernels``."""

from collections.abc import Iterator

from benchmarks.gpu.clock import Clock
from benchmarks.gpu.row import LEFT_OUT, Row, failed
from benchmarks.kernels import measure, settings
from benchmarks.timing import cell


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
            yield {"row": name} | failed(error)
            continue
        for form, directions in found.items():
            for direction, times in directions.items():
                yield {
                    "row": f"{name}: {form}, {direction}",
                    "milliseconds": times["milliseconds"],
                    "ratio": times["ratio"],
                    "as text": cell(times["ratio"]),
                }
