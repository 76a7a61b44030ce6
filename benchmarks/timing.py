"""The one stopwatch of the benchmarks: programs compiled ahead of time, and runs in turn.

Compilation, the first run and the steady state are timed apart. Whoever compares two programs runs them in turn in one
process and looks at the ratio of every pair: the machine's moods then meet both. Of the ratios the median is reported
with a 95 % interval of the median, and an aim counts as met when that interval reaches it (single pairs of identical
programs gave ratios of 0.82 to 1.23 on two shared cores, so a single figure says little).

Here stands nothing but JAX and NumPy, so that it runs on a bare machine.
"""

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from benchmarks.record import rounded, spread

PAIRS = 40
INTERVAL = "interval of the median"


@dataclass(frozen=True)
class Compiled:
    """A program compiled for its arguments.

    Attributes:
        run: Runs it on these arguments and returns when the result is there.
        trace_s, lower_s, compile_s, first_s: Seconds of tracing, lowering to XLA, compiling and the first run; the
            last is None where that was left out.
        flops: Floating-point operations by XLA's count, or None. The body of a loop counts once, however often it
            runs, and a custom call counts nothing: of a method, count its passes instead.
        bytes_accessed: Bytes read and written by XLA's count, or None; loops as above.
        peak_bytes: Memory for arguments, results and temporaries by XLA's analysis, or None; a hint on CPUs.
    """

    run: Callable[[], Any]
    trace_s: float
    lower_s: float
    compile_s: float
    first_s: float | None
    flops: float | None
    bytes_accessed: float | None
    peak_bytes: int | None

    @property
    def startup_s(self) -> float:
        """Seconds until the program can run."""
        return self.trace_s + self.lower_s + self.compile_s

    def record(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        stages = {"trace": self.trace_s, "lower": self.lower_s, "compile": self.compile_s, "first run": self.first_s}
        return {
            "seconds": {stage: rounded(seconds) for stage, seconds in stages.items() if seconds is not None},
            "flops": self.flops,
            "bytes accessed": self.bytes_accessed,
            "peak bytes": self.peak_bytes,
        }


def compiled(f: Callable[..., Any], *args: Any, first_run: bool = True, **static: Any) -> Compiled:
    """Compile a function for its arguments and run it once.

    Args:
        f: A function of arrays; one that ``jax.jit`` returned keeps its settings.
        args: Its arguments.
        first_run: Whether to run it.
        static: Its static keywords, if it was jitted with such.
    """
    jitted = f if hasattr(f, "trace") else jax.jit(f)
    marks = [time.perf_counter()]
    traced = jitted.trace(*args, **static)
    marks.append(time.perf_counter())
    lowered = traced.lower()
    marks.append(time.perf_counter())
    program = lowered.compile()
    marks.append(time.perf_counter())
    first = None
    if first_run:
        jax.block_until_ready(program(*args))
        first = time.perf_counter() - marks[-1]
    cost = _first(lowered.cost_analysis()) or _first(program.cost_analysis())
    used = program.memory_analysis()
    kinds = ("argument", "output", "temp")
    return Compiled(
        lambda: jax.block_until_ready(program(*args)),
        *(later - sooner for sooner, later in itertools.pairwise(marks)),
        first,
        flops=cost.get("flops"),
        bytes_accessed=cost.get("bytes accessed"),
        peak_bytes=None if used is None else sum(getattr(used, f"{kind}_size_in_bytes") for kind in kinds),
    )


@dataclass(frozen=True)
class Timings:
    """Seconds of runs that were made in turn: by name, one per round."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        """Return the median of the seconds of one run."""
        return spread(self.seconds[name])["median"]

    def ratio(self, of: str, over: str, times: float = 1.0) -> dict[str, Any]:
        """Return the seconds of ``of`` over those of ``over``, per round: how many times as fast ``over`` is.

        Args:
            of: The run whose time stands above.
            over: The run whose time stands below.
            times: Factor on the upper time, where a run of ``over`` does the work of several of ``of``.
        """
        pairs = zip(self.seconds[of], self.seconds[over], strict=True)
        return with_interval([times * one / other for one, other in pairs])

    def record(self) -> dict[str, Any]:
        """Return the spread of the seconds of every run, for JSON."""
        return {name: with_interval(values) for name, values in self.seconds.items()}


def interleaved(
    runs: Mapping[str, Callable[[], Any]],
    pairs: int = PAIRS,
    *,
    synchronize: Callable[[], Any] | None = None,
) -> Timings:
    """Time runs in turn: every round makes each once, every second round in reverse.

    Args:
        runs: Functions without arguments, by name. JAX's results are waited for; others must wait themselves.
        pairs: Number of rounds; a round before them is not timed.
        synchronize: Called before the clock is read, such as ``torch.cuda.synchronize``.
    """
    wait = synchronize or (lambda: None)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        jax.block_until_ready(run())
    names = list(runs)
    for number in range(pairs):
        for name in reversed(names) if number % 2 else names:
            wait()
            began = time.perf_counter()
            jax.block_until_ready(runs[name]())
            wait()
            seconds[name].append(time.perf_counter() - began)
    return Timings(seconds)


def interval_of_median(values: list[float], level: float = 0.95) -> tuple[float, float]:
    """Return the order statistics that hold the median with at least this probability.

    Of n values, x_(k) and x_(n+1-k) miss it with probability 2 P(Binomial(n, 1/2) < k). Fewer than six values do not
    reach 95 %; their extremes are returned.
    """
    ordered, n = sorted(values), len(values)
    below, k = 0, 0
    while 2 * (below + math.comb(n, k)) / 2**n <= 1 - level:
        below += math.comb(n, k)
        k += 1
    return ordered[max(k - 1, 0)], ordered[min(n - k, n - 1)]


def with_interval(values: list[float]) -> dict[str, Any]:
    """Return the spread of values together with the interval of their median."""
    return spread(values) | {INTERVAL: [rounded(bound) for bound in interval_of_median(values)]}


def reaches(ratio: dict[str, Any], aim: float) -> bool:
    """Tell whether the interval of a ratio's median reaches an aim."""
    return bool(ratio[INTERVAL][1] >= aim)


def verdict(ratio: dict[str, Any], aim: float) -> str:
    """Return ``met`` or ``MISSED``."""
    return "met" if reaches(ratio, aim) else "MISSED"


def cell(ratio: dict[str, Any]) -> str:
    """Return a ratio with its interval, for tables."""
    low, high = ratio[INTERVAL]
    return f"{ratio['median']:.2f} [{low:.2f}, {high:.2f}]"


def _first(cost: Any) -> dict[str, Any]:
    """Return the costs: backends give a dictionary, a list of one, or nothing."""
    if isinstance(cost, list | tuple):
        cost = cost[0] if cost else None
    return cost or {}
