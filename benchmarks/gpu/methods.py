"""Every method beside the bare passes that it consists of: a network at a precision, at batches of several sizes.

All programs of a network are compiled first, several at once; then each method and its bare passes run in turn, as in
``benchmarks.overhead``.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.ceiling import ceiling, precision_of
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.row import LEFT_OUT, Row, failed
from benchmarks.overhead import bare_programs, compiled_method, measure
from benchmarks.timing import INTERVAL, Compiled, interleaved
from benchmarks.workloads import USUAL, Workload
from jaxplain.core.model import Model
from jaxplain.engine.precision import Precision, at_precision

THREADS = 6
"""Programs compiled at once: the device tries convolutions for one after another, the host does the rest."""


def rows(
    workload: Workload,
    model: Model,
    precision: Precision,
    clock: Clock,
    *,
    batches: tuple[int, ...],
    rounds: int,
    memory: str,
) -> Iterator[Row]:
    """Yield the rows of a network at a precision: bare passes at every batch, then the methods at the workload's."""
    ready = at_precision(model, precision)[0]
    named = {"network": workload.network, "precision": precision}
    makers: dict[str, Callable[[], Any]] = {
        f"bare {batch}": partial(bare_programs, replace(workload, batch=batch), ready)
        for batch in {*batches, workload.batch}
    }
    for case in USUAL:
        makers[case] = partial(compiled_method, replace(workload, case=case), ready, memory=memory)
    made = _together(makers, lambda: at_precision(model, precision)[1])
    for name, error in made.items():
        if isinstance(error, Exception):
            yield named | {"row": name} | failed(error)
    rate = ceiling(precision_of(precision))["GFLOP/s"]
    for batch in batches:
        if not isinstance(made[f"bare {batch}"], Exception):
            yield from (named | row for row in _bare(batch, made[f"bare {batch}"], clock, rounds, rate))
    bare = made[f"bare {workload.batch}"]
    for case in USUAL:
        if isinstance(made[case], Exception) or isinstance(bare, Exception):
            continue
        row = named | {"row": case, "batch": workload.batch, "samples": workload.n_samples}
        if clock.left < 0:
            yield row | LEFT_OUT
            continue
        found = measure(replace(workload, case=case), made[case], bare, pairs=rounds, rate=rate)
        yield row | {
            "images/s": found["images per second"]["median"],
            "of bare": found["ratio"]["median"],
            "interval": found["ratio"][INTERVAL],
            "of ceiling": found["utilization"],
            "compile seconds": made[case].compile_s,
        }


def _bare(batch: int, programs: dict[str, Compiled], clock: Clock, rounds: int, rate: float) -> Iterator[Row]:
    if clock.left < 0:
        yield {"row": "bare", "batch": batch} | LEFT_OUT
        return
    times = interleaved({name: program.run for name, program in programs.items()}, rounds)
    for name, program in programs.items():
        seconds = times.median(name)
        yield {
            "row": f"bare {name}",
            "batch": batch,
            "images/s": batch / seconds,
            "of ceiling": None if program.flops is None else 1e-9 * program.flops / seconds / rate,
            "compile seconds": program.compile_s,
        }


def _together(
    makers: dict[str, Callable[[], Any]], context: Callable[[], AbstractContextManager[Any]]
) -> dict[str, Any]:
    """Return what the makers make, or the exception that came instead."""

    def make(maker: Callable[[], Any]) -> Any:
        try:
            with context():  # the precision of products is a setting of each thread
                return maker()
        except Exception as error:  # a program that does not compile is a row of the table
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(makers, pool.map(make, makers.values()), strict=True))
