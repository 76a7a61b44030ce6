"""How long a method's program takes to be ready: cold, and warm from JAX's compile cache.

    python -m benchmarks.compile_time [--network resnet50] [--cases ...] [--batch 8] [--repeats 1]

Every figure comes from a process of its own: the first with an empty cache folder, the second with what the first left
there. Tracing, lowering and compiling (in the second process: looking the program up) make up the compile time; the
first run, the import, the making of the network and the peak memory of the process stand beside it. "cache" counts the
program alone: a hit, a miss, or none where nothing was looked up. What takes a pass per channel is compiled, not run.
A method that fails, such as one that does not fit the network, is told and left out.

Aims, on ResNet-50: 20 s cold, 3 s warm.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.memory import in_child, report
from benchmarks.record import RESULTS, facts, keep
from benchmarks.timing import INTERVAL, with_interval

AIMS = {"cold": 20.0, "warm": 3.0}
STAGES = ("trace", "lower", "compile")


def child(network_name: str, case: str, batch: int, size: int) -> None:
    """Compile a method in this process and report."""
    began = time.perf_counter()
    import jax

    from benchmarks.timing import compiled
    from benchmarks.workloads import Workload, method_program, network

    imported = time.perf_counter()
    workload = Workload(network_name, case, batch, size)
    model = network(network_name, size)
    arguments, program = workload.call(model)
    jax.block_until_ready(arguments)
    made = time.perf_counter()
    events: list[str] = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event.rpartition("/")[2]))
    found = compiled(method_program, *arguments, first_run=workload.passes is not None, program=program)
    seconds = {"import": imported - began, "network": made - imported, **found.record()["seconds"]}
    seen = {"cache": next((word for word in ("hit", "miss") if any(f"cache_{word}" in one for one in events)), "none")}
    report({"seconds": seconds, **seen})


def measure(network_name: str, case: str, *, batch: int, size: int, repeats: int) -> dict[str, Any]:
    """Compile a method in two processes that share a cache folder, several times over."""
    kept: dict[str, list[dict[str, Any]]] = {"cold": [], "warm": []}
    words = ("--child", network_name, case, str(batch), str(size))
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            cache = {
                "JAX_COMPILATION_CACHE_DIR": folder,
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_ENABLE_COMPILATION_CACHE": "true",
                "JAX_TRACEBACK_FILTERING": "off",  # so that the last line of a failure says what it was
            }
            for state in kept.values():
                state.append(in_child("benchmarks.compile_time", *words, environment=cache))
    return {state: together(found) for state, found in kept.items()}


def together(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the spread of every stage over the repeats."""
    stages = {stage: with_interval([one["seconds"][stage] for one in found]) for stage in found[0]["seconds"]}
    whole = [sum(one["seconds"][stage] for stage in STAGES) for one in found]
    return {
        "seconds": {"compile time": with_interval(whole), **stages},
        "cache": [one["cache"] for one in found],
        "peak bytes": with_interval([one["peak bytes"] for one in found]),
    }


HEAD = (
    f"{'method':24} {'state':5} {'compile time':>12} = {'trace':>6} + {'lower':>6} + {'compile':>7} {'first run':>10} "
    f"{'peak':>8} {'cache':>6}  aim"
)


def lines(case: str, row: dict[str, Any]) -> str:
    """Return the two rows of a method in the table."""
    made = []
    for state, found in row.items():
        median = {stage: figures["median"] for stage, figures in found["seconds"].items()}
        first = f"{median['first run']:.2f} s" if "first run" in median else "-"
        made.append(
            f"{case if state == 'cold' else '':24} {state:5} {median['compile time']:10.2f} s = "
            f"{median['trace']:6.2f} + {median['lower']:6.2f} + {median['compile']:7.2f} {first:>10} "
            f"{found['peak bytes']['median'] / 1e6:5.0f} MB {found['cache'][-1]:>6}  "
            f"{AIMS[state]:.0f} s {_met(found, AIMS[state])}"
        )
    return "\n".join(made)


def _met(found: dict[str, Any], aim: float) -> str:
    low, _ = found["seconds"]["compile time"][INTERVAL]
    return "met" if low <= aim else "MISSED"


def main() -> None:
    """Run from the command line."""
    from benchmarks.workloads import CASES, USUAL

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=USUAL, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    chosen = parser.parse_args()
    tell = partial(print, flush=True)
    settings = {"network": chosen.network, "batch": chosen.batch, "size": chosen.size}
    rows = {}
    tell(HEAD)
    for case in chosen.cases:
        try:
            rows[case] = measure(chosen.network, case, batch=chosen.batch, size=chosen.size, repeats=chosen.repeats)
        except RuntimeError as error:
            tell(f"{case:24} left out: {str(error).splitlines()[-1]}")
            continue
        tell(lines(case, rows[case]))
    tell(f"written to {keep('compile_time', {**facts(), **settings, 'aims': AIMS, 'rows': rows}, chosen.results)}")


if __name__ == "__main__":
    import sys

    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4], *map(int, sys.argv[4:6]))
    else:
        main()
