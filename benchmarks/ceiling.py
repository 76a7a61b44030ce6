"""The ceiling: how fast this machine multiplies matrices, measured, and what share of it a program reaches.

    python -m benchmarks.ceiling

Of a program's operations XLA counts those of the network's passes; divided by the seconds and by the rate of a plain
matrix product in the same precision, they give its utilization. The ceiling is the best of several shapes and runs.
"""

import argparse
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.record import facts, keep, rounded
from benchmarks.timing import compiled, interleaved

PRECISIONS: dict[str, tuple[Any, str | None]] = {
    "float32": (jnp.float32, "highest"),
    "tf32": (jnp.float32, "tensorfloat32"),
    "bfloat16": (jnp.bfloat16, None),
}
SIZES = {"cpu": (1024, 2048), "gpu": (4096, 8192, 16384)}
"""Matrices large enough to keep a device busy, small enough to leave a minute of time."""


def precision_of(precision: str) -> str:
    """Return the row of the ceiling that belongs to the engine's precision, on this device."""
    if precision == "bf16":
        return "bfloat16"
    return "tf32" if precision == "fast" and jax.default_backend() == "gpu" else "float32"


@cache
def ceiling(precision: str, *, sizes: tuple[int, ...] | None = None, rounds: int = 8) -> dict[str, Any]:
    """Return the best rate in GFLOP/s of a square matrix product, and the size that reached it.

    Args:
        precision: A name of ``PRECISIONS``.
        sizes: Rows of the matrices; by default what suits the device.
        rounds: Runs of each size, in turn.
    """
    dtype, algorithm = PRECISIONS[precision]
    runs = {}
    context: AbstractContextManager[Any] = jax.default_matmul_precision(algorithm) if algorithm else nullcontext()
    with context:
        for size in sizes or SIZES.get(jax.default_backend(), SIZES["gpu"]):
            a, b = (jnp.asarray(np.random.default_rng(seed).normal(size=(size, size)), dtype) for seed in (0, 1))
            runs[str(size)] = compiled(jax.jit(jnp.matmul), a, b).run
    timings = interleaved(runs, rounds)
    rates = {size: 2e-9 * int(size) ** 3 / min(seconds) for size, seconds in timings.seconds.items()}
    best = max(rates, key=lambda size: rates[size])
    return {"GFLOP/s": rounded(rates[best]), "size": int(best)}


def ceilings() -> dict[str, dict[str, Any]]:
    """Return the ceilings of all precisions that this device has, by name."""
    return {name: ceiling(name) for name in (PRECISIONS if jax.default_backend() == "gpu" else ("float32",))}


def main() -> None:
    """Run from the command line."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = ceilings()
    for name, row in rows.items():
        print(f"{name:9} {row['GFLOP/s']:10.0f} GFLOP/s, matrices of {row['size']} rows")
    print(f"written to {keep('ceiling', {**facts(), 'rows': rows})}")


if __name__ == "__main__":
    main()
