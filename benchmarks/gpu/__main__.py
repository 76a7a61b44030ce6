"""Measure the accelerator of this machine, within a limit of minutes, the most important rows first.

    benchmarks/gpu.sh [--minutes 7.5] [--parts methods jobs peers kernels] [--out FOLDER] [--small]

What does not fit into the time is left out and listed as such. The record is written after every row, so that an
interrupted run keeps what it has; the short table comes last.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax

from benchmarks.ceiling import ceiling, precision_of
from benchmarks.gpu import jobs, kernels, methods, peers
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.row import Row, failed
from benchmarks.gpu.table import table
from benchmarks.record import device_folder, facts, write
from benchmarks.workloads import Workload, network

PRECISIONS = ("bf16", "fast")
NETWORKS = ("resnet50", "vit_b_16")


def parts(small: bool) -> dict[str, tuple[float, Callable[[Clock], Iterator[Row]]]]:
    """Return, per part, its share of the time that is then left, and its rows."""
    size, batch, batches, rounds = (32, 2, (2, 4), 2) if small else (224, 128, (64, 256, 512), 8)
    memory, samples = ("1GiB", 2) if small else ("24GiB", 8)
    model = partial(network, size=size)

    def every_method(clock: Clock) -> Iterator[Row]:
        combined = [(name, precision) for precision in PRECISIONS for name in NETWORKS]
        for number, (name, precision) in enumerate(combined):
            workload = Workload(name, "gradient", batch, size, samples)
            own = clock.part(1 / (len(combined) - number))
            yield from methods.rows(
                workload, model(name), precision, own, batches=batches, rounds=rounds, memory=memory
            )

    def whole_jobs(clock: Clock) -> Iterator[Row]:
        images = (4, 2, 2) if small else (8192, 1024, 128)
        yield from jobs.rows(
            model("resnet50"), "bf16", clock, size=size, classes=1000, images=images, batch=batch, memory=memory
        )

    def captum(clock: Clock) -> Iterator[Row]:
        device = "cuda" if jax.default_backend() == "gpu" else "cpu"
        yield from peers.rows(
            "small" if small else "resnet50",
            clock,
            device=device,
            batch=2 if small else 64,
            samples=samples,
            size=size,
            rounds=rounds,
        )

    return {
        "jobs": (0.3, whole_jobs),
        "methods": (0.5, every_method),
        "peers": (0.7, captum),
        "kernels": (1.0, partial(kernels.rows, small=small, rounds=rounds)),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--parts", nargs="+", choices=list(parts(small=True)))
    parser.add_argument("--out", type=Path, help="folder for the record; by default benchmarks/results/<device>")
    parser.add_argument("--small", action="store_true", help="tiny inputs, to see that everything runs")
    chosen = parser.parse_args()
    clock, began = Clock(60 * chosen.minutes), time.perf_counter()
    place = (chosen.out or device_folder()) / "gpu.json"
    rates = {precision: ceiling(precision_of(precision)) for precision in PRECISIONS}
    found: Row = {**facts(), "ceilings": rates, "rows": []}
    for name, (share, rows) in parts(chosen.small).items():
        if chosen.parts and name not in chosen.parts:
            continue
        for row in _with_failure(rows(clock.part(share))):
            found["rows"].append({"part": name} | row)
            found["seconds"] = round(time.perf_counter() - began, 1)
            write(place, found)
            print(f"{found['seconds']:7.1f} s  {name}: {row.get('row')}", file=sys.stderr, flush=True)
    print(table(found))
    print(f"written to {place}")


def _with_failure(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows, and as the last one what broke them, so that the other parts are still measured."""
    try:
        yield from rows
    except Exception as error:
        traceback.print_exc()
        yield {"row": "broken off"} | failed(error)


if __name__ == "__main__":
    main()
