"""The workload of the engine's benchmarks: SmoothGrad-16 with the demo's network on 28x28 images."""

from pathlib import Path

import numpy as np

from jaxplain.core.targets import Predicted
from jaxplain.engine.job import Explanation, Job, Place, PlanRequest
from jaxplain.io.input import Input
from jaxplain.io.ledger import Ledger
from jaxplain.io.manifest import KEY, create_manifest, read_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources import open_source
from jaxplain.io.sources.base import Source
from jaxplain.io.storage import Storage
from jaxplain.models.small import small_cnn

SHAPE = (28, 28, 1)
CLASSES = 10


def smoothgrad_job(*, samples: int = 16, batch: int | None = None, rows_per_shard: int | None = None) -> Job:
    """Return the job; batch and shard are planned unless they are given."""
    return Job(
        small_cnn(SHAPE, classes=CLASSES),
        Predicted(),
        (Explanation("smoothgrad", "smoothgrad", {"n_samples": samples}, {"n_samples": samples}),),
        spec={"workload": "smoothgrad", "samples": samples},
        request=PlanRequest(batch=batch, rows_per_shard=rows_per_shard),
        n_labels=CLASSES,
    )


def write_images(folder: Path, n: int) -> Path:
    """Write n random images as an uncompressed ``.npz``, which sources read row by row."""
    rng = np.random.default_rng(0)
    place = folder / f"images-{n}.npz"
    images = rng.integers(0, 256, (n, *SHAPE), dtype=np.uint8)
    np.savez(place, images=images, labels=rng.integers(0, CLASSES, n))
    return place


def open_images(place: Path) -> Source:
    """Open them, scaled to [0, 1]."""
    return open_source(f"npz://{place}", Input(divisor=255))


class Manifest:
    """The manifest of a store, as the engine sees it."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def create(self, manifest):  # type: ignore[no-untyped-def]
        """Write it unless there is one."""
        return create_manifest(self.storage, manifest)

    def read(self):  # type: ignore[no-untyped-def]
        """Return it, or None."""
        return None if self.storage.read(KEY) is None else read_manifest(self.storage)


def open_place(folder: Path) -> tuple[Place, Storage]:
    """Open a store for writing."""
    storage = Storage.open(str(folder))
    return Place(StoreSink(storage), Ledger(storage), Manifest(storage), storage), storage
