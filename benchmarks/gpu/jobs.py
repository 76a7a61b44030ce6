"""Whole jobs: images from a file, maps into a store, global maps and a PEPPR sweep, all with ResNet-50.

The rows say images/s from the first image read to the last shard written, planning and compilation apart, and what
300,000 images would take at that rate.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.demo_job import open_place
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.row import LEFT_OUT, Row
from jaxplain.aggregate.peppr import order_of
from jaxplain.core.model import Model
from jaxplain.core.targets import Predicted
from jaxplain.engine.job import Explanation, Job, PlanRequest
from jaxplain.engine.precision import Precision
from jaxplain.engine.run import run
from jaxplain.engine.sweep import Settings, sweep
from jaxplain.io.input import Input
from jaxplain.io.sources import open_source
from jaxplain.io.sources.base import Source

MANY = 300_000


def rows(
    model: Model,
    precision: Precision,
    clock: Clock,
    *,
    size: int,
    classes: int,
    images: tuple[int, int, int],
    batch: int,
    memory: str,
) -> Iterator[Row]:
    """Yield the rows of two runs and a sweep.

    Args:
        model: The network.
        precision: Of all three.
        clock: What does not fit is left out.
        size: Height and width of the images.
        classes: Outputs of the network.
        images: How many images the gradient, integrated gradients with 32 steps and the sweep get.
        batch: Images per step.
        memory: Budget of a step.
    """
    zeros = np.zeros((size, size, 3), np.float32)
    methods = (
        Explanation("gradient", "gradient"),
        Explanation("integrated_gradients", "integrated_gradients", {"baseline": zeros, "n_steps": 32}),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for method, n in zip(methods, images, strict=False):
            name = f"run, {method.name}" + (", 32 steps" if "n_steps" in method.keywords else "")
            if clock.left < 0:
                yield {"row": name} | LEFT_OUT
                continue
            job = Job(
                model,
                Predicted(),
                (method,),
                request=PlanRequest(memory=memory, batch=batch, precision=precision),
                n_labels=classes,
            )
            source = _images(folder, n, size, classes)
            summary = run(job, source, open_place(folder / method.name)[0])
            yield {
                "row": name,
                "precision": precision,
                "images": n,
                "images/s": n / summary.seconds,
                "planning seconds": summary.planning_seconds,
                "waiting seconds": summary.waits.input,
                f"minutes for {MANY:,}": MANY * summary.seconds / n / 60,
            }
        if clock.left < 0:
            yield {"row": "PEPPR sweep"} | LEFT_OUT
        else:
            yield _sweep(model, _images(folder, images[2], size, classes), precision, size, batch)


def _sweep(model: Model, source: Source, precision: Precision, size: int, batch: int) -> Row:
    scores = np.random.default_rng(1).normal(size=(size, size)).astype(np.float32)
    settings = Settings(
        fractions=tuple(np.linspace(0, 1, 11)), n_random=2, resamples=0, batch=batch, precision=precision
    )
    made = sweep(model, source, [order_of("random map", scores)], settings)
    passes, seconds = made["passes"], made["seconds"]  # type: ignore[index]
    return {
        "row": "PEPPR sweep",
        "precision": precision,
        "images": len(source),
        "passes per image": passes,
        "seconds": seconds,
        "forward passes/s": len(source) * passes / seconds,
    }


def _images(folder: Path, n: int, size: int, classes: int) -> Source:
    rng = np.random.default_rng(0)
    place = folder / f"images-{n}.npz"
    if not place.exists():
        np.savez(
            place, images=rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8), labels=rng.integers(0, classes, n)
        )
    return open_source(f"npz://{place}", Input(divisor=255))
