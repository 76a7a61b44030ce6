"""A hundred times as many images: memory per worker stays, and an image costs the same.

    python -m benchmarks.scale [--images 3000 10000 300000] [--workers 2] [--folder DIR]

Generated images of 64x64 are explained by SmoothGrad with 8 samples on the small network, by workers that share a
store: each is ``jaxplain run job.toml --worker i/n`` in a process of its own, told by its events (``--log json``). For
every number of images the record holds the peak memory of each worker, images/s, the size of the store, the seconds of
the global maps, and the cost of an image: seconds of explaining times workers over images.

Before every row it says how long that will take at the speed of the one before; on two cores the last of the default
takes a quarter of an hour. With ``--folder`` everything stays there and the same command goes on: numbers of images
that were finished are not run again, and a run that was killed is resumed by its workers (its figures are then of the
images that were left, and the row says so).

Aims: a peak at most 1.1 times that of the number before, from 10,000 images on; a cost within 10 % of the first row's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import RESULTS, facts, keep, rounded
from jaxplain.cli.progress import duration

IMAGES = (3_000, 10_000, 300_000)
SHAPE, CLASSES, SAMPLES, BLOCK = (64, 64, 1), 10, 8, 1000
MEMORY_AIM, COST_AIM = 1.1, 0.1
MEMORY_FROM = 10_000
JOB = """\
output = "store"
[model]
factory = "jaxplain.models.small:small_cnn"
kwargs = {{ shape = {shape}, classes = {classes} }}
[source]
url = "npy://images.npy"
labels = "labels.npy"
[input]
divisor = 255
[methods.smoothgrad]
n_samples = {samples}
[plan]
batch = {batch}
rows_per_shard = {rows}
"""


def prepare(folder: Path, n: int, *, batch: int, rows: int) -> None:
    """Write images, labels and the job, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = list(SHAPE)
    (folder / "job.toml").write_text(JOB.format(shape=shape, classes=CLASSES, samples=SAMPLES, batch=batch, rows=rows))
    done, images = folder / "labels.npy", folder / "images.npy"
    if done.exists():  # written last
        return
    written = np.lib.format.open_memmap(images, "w+", np.uint8, (n, *SHAPE))
    for first in range(0, n, BLOCK):
        rng = np.random.default_rng([0, first])
        written[first : first + BLOCK] = rng.integers(0, 256, (min(BLOCK, n - first), *SHAPE), np.uint8)
    written.flush()
    np.save(done, np.random.default_rng(1).integers(0, CLASSES, n))


def explain(folder: Path, workers: int) -> list[dict[str, Any]]:
    """Let workers explain all images; return the last event of each, the summary.

    Raises:
        RuntimeError: A worker failed; the end of its errors is shown.
    """
    running = []
    for number in range(1, workers + 1):
        log = folder / f"events-{number}.jsonl"
        words = [sys.executable, "-m", "jaxplain.cli", "run", "job.toml", "--worker", f"{number}/{workers}"]
        with log.open("w") as stream:
            root = str(Path(__file__).parent.parent)
            path = os.pathsep.join([root, os.path.join(root, "kernels"), os.environ.get("PYTHONPATH", "")])
            environment = {**os.environ, "PYTHONPATH": path}
            process = subprocess.Popen(
                [*words, "--log", "json"], cwd=folder, stdout=subprocess.DEVNULL, stderr=stream, env=environment
            )
        running.append((process, log))
    ends = []
    for process, log in running:
        code = process.wait()
        last = log.read_text().splitlines()[-1:]
        if code or not last:
            for other, _ in running:
                other.kill()
            raise RuntimeError(f"a worker ended with {code}: {''.join(last)[:2000]}")
        ends.append(json.loads(last[0]))
    return ends


def row(folder: Path, n: int, workers: int, *, batch: int = 128, rows: int = 1024) -> dict[str, Any]:
    """Run one number of images and return its figures; what was finished is read."""
    kept = folder / "row.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    prepare(folder, n, batch=batch, rows=rows)
    began = time.perf_counter()
    ends = explain(folder, workers)
    wall = time.perf_counter() - began
    found = figures(ends, n) | {"wall seconds": rounded(wall), "store bytes": size_of(folder / "store")}
    kept.write_text(json.dumps(found, indent=1))
    return found


def figures(ends: list[dict[str, Any]], n: int) -> dict[str, Any]:
    """Return the figures of a run by the summaries of its workers."""
    images = sum(end["images in the last run"] for end in ends)
    seconds = [end["seconds of explaining"] for end in ends]
    return {
        "images": n,
        "explained": images,
        "resumed": images < n,
        "complete": any(end["complete"] for end in ends),
        "peak memory (MB)": [end["peak memory (MB)"] for end in ends],
        "images/s": rounded(images / max(seconds)) if images else None,
        "seconds per image": rounded(sum(seconds) / images) if images else None,
        "finalize seconds": rounded(sum(end["seconds by stage"].get("aggregating", 0.0) for end in ends)),
        "share of time waiting for": [end["share of time waiting for"] for end in ends],
    }


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def verdicts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return peak memory and cost of an image against the aims."""
    peaks = [(one["images"], max(one["peak memory (MB)"])) for one in rows if one["images"] >= MEMORY_FROM]
    costs = [one["seconds per image"] for one in rows if one["seconds per image"] is not None]
    ratio = peaks[-1][1] / peaks[0][1] if len(peaks) > 1 else None
    drift = max(abs(cost / costs[0] - 1) for cost in costs) if len(costs) > 1 else None
    return {
        "peak memory, last over first": None if ratio is None else rounded(ratio),
        "memory is flat": None if ratio is None else ratio <= MEMORY_AIM,
        "cost, largest drift": None if drift is None else rounded(drift),
        "cost is constant": None if drift is None else drift <= COST_AIM,
    }


def expected(n: int, before: dict[str, Any] | None) -> str:
    """Say how long a number of images will take, by the row before."""
    if before is None or not before["images/s"]:
        return f"{n:,} images: no speed is known yet"
    speed = before["images/s"]
    return f"{n:,} images: about {duration(n / speed)} at the {speed:,.0f} images/s of the row before"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=list(IMAGES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where everything stays, to go on; a temporary folder by default")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows: list[dict[str, Any]] = []
        for n in sorted(chosen.images):
            print(expected(n, rows[-1] if rows else None), flush=True)
            rows.append(row((chosen.folder or Path(temporary)) / f"{n}-{chosen.workers}", n, chosen.workers))
            print("  " + ", ".join(f"{name} {rows[-1][name]}" for name in SHOWN), flush=True)
    found = {**facts(), "workers": chosen.workers, "shape": SHAPE, "samples": SAMPLES, "rows": rows, **verdicts(rows)}
    for name in ("peak memory, last over first", "memory is flat", "cost, largest drift", "cost is constant"):
        print(f"{name}: {found[name]}")
    print(f"written to {keep('scale', found, chosen.results)}")
    return 0 if all(one["complete"] for one in rows) else 1


SHOWN = (
    "images/s",
    "seconds per image",
    "peak memory (MB)",
    "store bytes",
    "finalize seconds",
    "wall seconds",
    "resumed",
)

if __name__ == "__main__":
    sys.exit(main())
