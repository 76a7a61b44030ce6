"""Stores in memory, jobs and hashes of what a store holds, for the tests of the run."""

import itertools

import numpy as np

from jaxplain import Predicted
from jaxplain.engine.job import Explanation, Job, Place, PlanRequest
from jaxplain.io.ledger import Ledger
from jaxplain.io.manifest import KEY, create_manifest, read_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources.arrays import array_source
from jaxplain.io.storage import Storage
from jaxplain.testing.networks import images, smooth_network

FRESH = itertools.count()


class Manifest:
    """The manifest of a store as the engine sees it."""

    def __init__(self, storage):
        self.storage = storage

    def create(self, manifest):
        return create_manifest(self.storage, manifest)

    def read(self):
        return None if self.storage.read(KEY) is None else read_manifest(self.storage)


def place(url=None):
    storage = Storage.open(url or f"memory://run{next(FRESH)}")
    return Place(StoreSink(storage), Ledger(storage), Manifest(storage)), storage


def source(n=37, bad=()):
    pixels = images(n)
    for row in bad:
        pixels[row, 0, 0, 0] = np.nan
    return array_source(pixels, np.arange(n) % 5)


EXPLANATIONS = (
    Explanation("gradient", "gradient"),
    Explanation("sg", "smoothgrad", {"n_samples": 3}, {"n_samples": 3}),
    Explanation("ig", "integrated_gradients", {"baseline": 0.0, "n_steps": 4}, {"n_steps": 4}),
    Explanation("cam", "grad_cam", {"layer": "features", "upsample": None}, {"layer": "features"}),
)


def job(explanations=EXPLANATIONS, *, target=None, spec=None, max_bad=None, model=None, n_labels=0, **request):
    request = {"batch": 4, "chunk": 2, "rows_per_shard": 8, **request}
    return Job(
        model or smooth_network(),
        target or Predicted(),
        tuple(explanations),
        spec=spec or {"model": "smooth", "seed": 0},
        request=PlanRequest(**request),
        max_bad=max_bad,
        n_labels=n_labels,
    )


def content(storage):
    """Every stored byte of arrays, by key; markers and the manifest hold times."""
    keys = [key for key in storage.list() if key.startswith(("maps/", "rows/"))]
    return dict(zip(keys, storage.read_many(keys), strict=True))
