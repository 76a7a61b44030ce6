"""What the engine costs: a whole run against the bare compiled method, and memory against the number of images.

    python -m benchmarks.engine [--images 10000] [--pairs 7] [--large 70000]

The run reads, explains, aggregates and writes: SmoothGrad-16 with the demo's network, the source an uncompressed file
read row by row. The bare method is the same compiled program with the same plan on the same images, in memory as
float32, its maps brought back to the host. Both run in one process, in turn; the ratio of a pair is images/s of the
run over images/s of the bare method. Import, planning and compilation are timed apart. Memory is the peak of a process
of its own for each number of images.

Aims: a median ratio of at least 0.90; a peak at 70,000 images of at most 1.1 times that at 10,000.
"""

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import tempfile  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402

import jaxplain  # noqa: E402
from benchmarks.demo_job import CLASSES, open_images, open_place, smoothgrad_job, write_images  # noqa: E402
from benchmarks.memory import in_child, report  # noqa: E402
from benchmarks.record import facts, keep, spread  # noqa: E402
from benchmarks.timing import with_interval  # noqa: E402
from jaxplain.core.score import Score  # noqa: E402
from jaxplain.engine.finalize import finalize  # noqa: E402
from jaxplain.engine.lift import Program, clean_pass, explain_batch, id_words, prepare, select_images  # noqa: E402
from jaxplain.engine.plan import Plan  # noqa: E402
from jaxplain.engine.run import run  # noqa: E402
from jaxplain.io.groups import write_groups  # noqa: E402
from jaxplain.io.sources.base import Source  # noqa: E402

IMPORT_SECONDS = time.perf_counter() - BEGAN


def whole_run(source: Source, folder: Path, plan: Plan | None) -> dict[str, Any]:
    """Run and aggregate into an empty store; return seconds by stage and the plan."""
    where, storage = open_place(folder)
    job = smoothgrad_job(
        batch=None if plan is None else plan.batch, rows_per_shard=None if plan is None else plan.rows_per_shard
    )
    summary = run(job, source, where)
    began = time.perf_counter()
    store = jaxplain.open(storage.url)
    finalize(store, partial(write_groups, storage), methods=["smoothgrad"], n_labels=CLASSES)
    return {
        "planning": summary.planning_seconds,
        "explaining": summary.seconds,
        "aggregating": time.perf_counter() - began,
        "waiting": summary.waits.input,
        "plan": Plan.of(store.manifest["plan"]),
    }


def bare_method(images: np.ndarray, plan: Plan) -> float:
    """Explain images in memory with the compiled method alone; return the seconds."""
    job = smoothgrad_job()
    program, arguments = prepare("smoothgrad", {"n_samples": 16}, x_shape=images.shape[1:], diagnosed=False)
    program = Program(program.method, program.statics).with_chunk(plan.chunk)
    target = np.asarray(clean_pass(Score(job.model, job.target), images[: plan.batch]).target.index)
    score = select_images(Score(job.model, jaxplain.Logit(target)), (0,), np.arange(plan.batch))
    key = jax.random.key(0)
    images = np.concatenate([images, np.repeat(images[-1:], -len(images) % plan.batch, axis=0)])
    words = id_words(np.arange(len(images)))
    began, before = time.perf_counter(), None
    for start in range(0, len(images), plan.batch):
        rows = slice(start, start + plan.batch)
        maps, _ = explain_batch(score, images[rows], words[rows], key, arguments, program=program)
        if before is not None:
            np.asarray(before)
        before = maps
    np.asarray(before)
    return time.perf_counter() - began


def compare(n: int, pairs: int) -> dict[str, Any]:
    """Measure pairs of a whole run and the bare method in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = open_images(write_images(folder, n))
        first = whole_run(source, folder / "first", None)
        plan: Plan = first["plan"]
        images = source.read(np.arange(n)).image
        bare_method(images, plan)
        ratios, runs, bares = [], [], []
        for number in range(pairs):
            bare = bare_method(images, plan)
            whole = whole_run(source, folder / f"run{number}", plan)
            seconds = whole["explaining"] + whole["aggregating"]
            runs.append({name: round(value, 4) for name, value in whole.items() if name != "plan"})
            bares.append(n / bare)
            ratios.append(bare / seconds)
    return {
        "images": n,
        "plan": plan.record(),
        "seconds": {"import": round(IMPORT_SECONDS, 3), "planning and compilation": round(first["planning"], 3)},
        "ratio": with_interval(ratios),
        "images per second, bare": spread(bares),
        "images per second, run": spread([n / (one["explaining"] + one["aggregating"]) for one in runs]),
        "runs": runs,
    }


def peak_of_a_run(n: int) -> int:
    """Return the peak memory, in bytes, of a process that runs n images."""
    with tempfile.TemporaryDirectory() as temporary:
        place = write_images(Path(temporary), n)
        return int(in_child("benchmarks.engine", "--alone", str(place))["peak bytes"])


def alone(place: Path) -> None:
    """Run all images of a file in this process and report its peak memory."""
    with tempfile.TemporaryDirectory() as temporary:
        plan = Plan(batch=128, chunk=1, precision="fast", rows_per_shard=2048)
        whole_run(open_images(place), Path(temporary) / "store", plan)
    report({})


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--large", type=int, default=70_000, help="images of the memory test; 0 leaves it out")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        alone(chosen.alone)
        return
    found = {**facts(), **compare(chosen.images, chosen.pairs)}
    print(", ".join(f"{name} {seconds} s" for name, seconds in found["seconds"].items()))
    for name in ("images per second, bare", "images per second, run", "ratio"):
        figures = found[name]
        print(
            f"{name:26} median {figures['median']:10.3f}   quartiles {figures['quartiles']}   range {figures['range']}"
        )
    print(f"aim: median ratio >= 0.90: {'met' if found['ratio']['median'] >= 0.9 else 'MISSED'}")
    if chosen.large:
        small, large = peak_of_a_run(chosen.images), peak_of_a_run(chosen.large)
        found["peak bytes"] = {str(chosen.images): small, str(chosen.large): large, "ratio": round(large / small, 4)}
        print(f"peak memory {small / 1e6:.0f} MB at {chosen.images:,} images, {large / 1e6:.0f} MB at {chosen.large:,}")
        print(f"aim: ratio <= 1.1: {large / small:.3f}, {'met' if large <= 1.1 * small else 'MISSED'}")
    print(f"written to {keep('engine', found)}")


if __name__ == "__main__":
    main()
