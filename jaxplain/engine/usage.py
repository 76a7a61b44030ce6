"""What a process has used: memory, and floating-point operations by XLA's count beside what the device can do."""

import re
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxplain.engine.loops import loop_factor
from jaxplain.engine.precision import Precision, tracing_at

STATUS = Path("/proc/self/status")
_UNCOUNTED = re.compile(r"\bcustom-call\(")


def peak_bytes() -> int:
    """Return the largest resident memory that this process had so far."""
    if STATUS.exists():
        # The kernel's own mark begins anew with the program; getrusage's is inherited from the parent process.
        marks = [line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        if marks:
            return int(marks[0].split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def device_peak_bytes() -> int | None:
    """Return the largest memory in use on one device of this process so far, or None where none tells (CPUs)."""
    found = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()]
    return max((int(one) for one in found if one is not None), default=None)


def product_rate(precision: Precision, devices: int = 1) -> float:
    """Return the operations per second of a plain matrix product, measured here and now: the best of a few.

    Args:
        precision: That of a run.
        devices: How many devices the run shares its batches out to; the rate of the first counts for each.
    """
    size = 1024 if jax.default_backend() == "cpu" else 8192
    dtype = jnp.bfloat16 if precision == "bf16" else jnp.float32
    with tracing_at(precision):
        product = jax.jit(jnp.matmul)
        ones = jax.block_until_ready(jnp.ones((size, size), dtype))
        jax.block_until_ready(product(ones, ones))
        best = float("inf")
        for _ in range(8):
            began = time.perf_counter()
            jax.block_until_ready(product(ones, ones))
            best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best * devices


class Executable:
    """A compiled program that counts its calls.

    Args:
        program: What ``lowered.compile()`` returned.
    """

    def __init__(self, program: Any):
        self.program, self.calls = program, 0

    def __call__(self, *arguments: Any) -> Any:
        """Call the program."""
        self.calls += 1
        return self.program(*arguments)


@dataclass(frozen=True)
class Operations:
    """Floating-point operations.

    Args:
        number: How many, by XLA's count; None where it does not tell.
        whole: Whether that is all: XLA counts a call of a library as nothing, and the body of a loop once, which is
            mended where it tells how often the loop runs; programs that hold others did more.
    """

    number: float | None = 0.0
    whole: bool = True


def calls(programs: Mapping[str, Executable]) -> dict[str, int]:
    """Return how often each program was called."""
    return {name: program.calls for name, program in programs.items()}


def operations(programs: Mapping[str, Executable], before: Mapping[str, int], devices: int = 1) -> Operations:
    """Return what programs did since ``before``.

    Args:
        programs: The programs.
        before: What ``calls`` said then.
        devices: How many devices run each program, every one on its part.
    """
    done = {name: count - before.get(name, 0) for name, count in calls(programs).items()}
    return _total((counted(programs[name].program), times * devices) for name, times in done.items() if times)


def _total(parts: Iterable[tuple[Operations, int]]) -> Operations:
    number, whole = 0.0, True
    for one, times in parts:
        if one.number is None:
            return Operations(None, False)
        number, whole = number + times * one.number, whole and one.whole
    return Operations(number, whole)


def counted(program: Any) -> Operations:
    """Return XLA's count of the operations of one call of a compiled program."""
    try:
        cost, text = program.cost_analysis(), program.as_text()
    except (NotImplementedError, jax.errors.JaxRuntimeError):  # a backend that does not tell
        return Operations(None, False)
    cost = (cost[0] if cost else {}) if isinstance(cost, list | tuple) else cost or {}
    flops = cost.get("flops", -1.0)
    if flops < 0:
        return Operations(None, False)
    factor = loop_factor(text or "")
    return Operations(float(flops) * (factor or 1.0), factor is not None and not _UNCOUNTED.search(text or ""))
