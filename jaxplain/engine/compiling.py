"""Ahead of time: every program of a job is compiled before the first batch, and it is told which and how long it took.

Tracing and lowering are Python and go one after the other; compiling leaves Python and runs in threads meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from jaxplain.engine.events import Advanced, Finished, Started, Watcher
from jaxplain.engine.usage import Executable

STAGE = "compile"
THREADS = 2
"""Programs compiled at once; XLA uses all cores for the larger part of each."""


@dataclass(frozen=True)
class Compiled:
    """A program, ready to be called with its traced arguments.

    Args:
        call: The executable, which counts its calls.
        trace_seconds: Time of tracing and lowering.
        compile_seconds: Time of compiling, or of reading from the compile cache.
    """

    call: Executable
    trace_seconds: float
    compile_seconds: float


def compile_ahead(lower: Mapping[str, Callable[[], Any]], watch: Watcher) -> dict[str, Compiled]:
    """Compile programs.

    Args:
        lower: Traces and lowers a program, by its name for people.
        watch: Called with events.

    Raises:
        JaxRuntimeError: What the compiler raises, such as for too little memory.
    """
    if not lower:
        return {}
    began = time.perf_counter()
    watch(Started(STAGE, len(lower)))
    compiled: dict[str, Compiled] = {}
    pending: dict[Future[tuple[Any, float]], tuple[str, float]] = {}

    def land(timeout: float | None) -> None:
        for future in wait(pending, timeout, FIRST_COMPLETED).done:
            name, traced = pending.pop(future)
            call, seconds = future.result()
            compiled[name] = Compiled(Executable(call), traced, seconds)
            watch(Advanced(STAGE, 1, f"{name}: {traced:.1f} s to trace, {seconds:.1f} s to compile"))

    with ThreadPoolExecutor(THREADS, "jaxplain-compile") as pool:
        try:
            for name, lowered, seconds in _lowered(lower, watch):
                pending[pool.submit(_compile, lowered)] = name, seconds
                land(0)
            while pending:
                land(None)
        finally:
            for future in pending:
                future.cancel()
    facts = {name: [round(one.trace_seconds, 3), round(one.compile_seconds, 3)] for name, one in compiled.items()}
    watch(Finished(STAGE, time.perf_counter() - began, {"programs": facts}))
    return compiled


def _lowered(lower: Mapping[str, Callable[[], Any]], watch: Watcher) -> Iterator[tuple[str, Any, float]]:
    for name, start in lower.items():
        watch(Advanced(STAGE, 0, name))
        began = time.perf_counter()
        lowered = start()
        yield name, lowered, time.perf_counter() - began


def _compile(lowered: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    return lowered.compile(), time.perf_counter() - began
