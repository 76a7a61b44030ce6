"""From a job file to what the engine runs: source, model, target, methods and the place of the results, all checked.

What decides stored values goes into ``Job.spec`` and so into the manifest, where a later run is compared with it: the
factory with its arguments, a hash of the parameters, the fingerprint of the images and labels, the input, the target
and the seed. Paths do not: a job whose checkpoint or images have moved is the same job. Where everything was is kept
in ``job.json`` instead, which decides nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.cli.explanations import build_explanations
from jaxplain.cli.images import open_images
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.network import build_network, fingerprint, outputs_of
from jaxplain.cli.paths import resolved_url
from jaxplain.cli.targets import build_target
from jaxplain.cli.units import OPENING
from jaxplain.core.model import Model
from jaxplain.engine.events import Finished, Started, Watcher, unwatched
from jaxplain.engine.job import Job, Place, PlanRequest
from jaxplain.io.index import Index, Names, index_bytes
from jaxplain.io.ledger import Ledger
from jaxplain.io.manifest import KEY, create_manifest, read_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources.base import Source
from jaxplain.io.storage import Storage
from jaxplain.io.store import INDEX

ORIGIN = "job.json"
"""Key of the job as it was written: how the store can be worked on without the job file, by those who trust it."""
MENDED = "mended.json"
"""Key of the fingerprints that stand for the one of the run: of the same images, some mended since."""


@dataclass(frozen=True)
class Built:
    """A job, ready to run.

    Args:
        file: The job file.
        job: What the engine runs.
        source: The images.
        storage: Where the results go.
    """

    file: JobFile
    job: Job
    source: Source
    storage: Storage

    @property
    def place(self) -> Place:
        """Sink, ledger and manifest of the output."""
        return Place(StoreSink(self.storage), Ledger(self.storage), Manifest(self.storage, self), self.storage)


def build(file: JobFile, watch: Watcher = unwatched) -> Built:
    """Open the source, make the network and check everything of a job that can be checked before the first image.

    Args:
        file: The job file.
        watch: Told of a folder that has to be indexed.

    Raises:
        InputError: Something does not fit; the file and the key are named.
        OSError: Something cannot be read.
    """
    watch(Started(OPENING, 0))
    storage = Storage.open(resolved_url(file.folder, file.output))
    source = open_images(file, watch)
    model, n_outputs = network_of(file, source)
    target = build_target(file.target, source, n_outputs, file.where)
    explanations = build_explanations(file.methods, source, file)
    names = tuple(source.class_names or ())
    n_labels = label_count(source.labels, n_outputs, names)
    job = Job(
        model=model,
        target=target,
        explanations=explanations,
        seed=file.seed,
        spec=_spec(file, source, model, n_outputs, data_fingerprint(source, storage)),
        request=PlanRequest(**asdict(file.plan)),
        steps=file.aggregate.steps,
        select=file.aggregate.select,
        exclude=label_numbers(file.aggregate.exclude, names, n_labels, f"{file.where}: aggregate"),
        n_labels=n_labels,
        max_bad=file.max_bad,
        class_names=names,
    )
    watch(Finished(OPENING, 0.0))
    return Built(file, job, source, storage)


def network_of(file: JobFile, source: Source) -> tuple[Model, int | None]:
    """Return the model, and the length of its output vector or None for outputs of another kind."""
    model = build_network(file.model, file.folder, file.where, source.shape, file.input)
    leaves = jax.tree.leaves(outputs_of(model, source.shape, file.where))
    n_outputs = leaves[0].shape[0] if len(leaves) == 1 and len(leaves[0].shape) == 1 else None
    return model, n_outputs


def label_count(labels: np.ndarray | None, n_outputs: int | None, names: tuple[str, ...]) -> int:
    """Return the number of labels that global maps are made for: the columns of several labels per image, else all
    that a label, a prediction or a name can mean.
    """
    if labels is not None and labels.ndim == 2:
        return labels.shape[1]
    largest = 0 if labels is None or not len(labels) else int(labels.max()) + 1
    return max(largest, n_outputs or 0, len(names))


def label_numbers(labels: tuple[str | int, ...], names: tuple[str, ...], n_labels: int, where: str) -> tuple[int, ...]:
    """Return labels, given by name or number, as numbers.

    Raises:
        InputError: No such label.
    """
    found = []
    for label in labels:
        if isinstance(label, str) and label not in names:
            raise unknown(f"{where}.exclude", "label", label, names)
        number = names.index(label) if isinstance(label, str) else label
        if not 0 <= number < n_labels:
            raise InputError(f"{where}.exclude: label {number} lies outside 0 ... {n_labels - 1}.")
        found.append(number)
    return tuple(found)


@dataclass(frozen=True)
class Manifest:
    """The manifest of a store, which is created together with the index and the origin of the job."""

    storage: Storage
    built: Built

    def create(self, manifest: Mapping[str, Any]) -> bool:
        """Write it unless there is one; True for the one that wrote."""
        # The manifest is written last: whoever sees one sees the rest as well.
        if self.storage.read(KEY) is None:
            self.storage.write(INDEX, index_bytes(index_of(self.built.source)))
            write_origin(self.storage, self.built.file)
        return create_manifest(self.storage, manifest)

    def read(self) -> dict[str, Any] | None:
        """Return it, or None."""
        return read_manifest(self.storage) if self.storage.read(KEY) is not None else None


def write_origin(storage: Storage, file: JobFile) -> None:
    """Keep the job as it was written, and where."""
    origin = {"file": str(file.path.absolute()), "job": file.table}
    storage.write(ORIGIN, (json.dumps(origin, indent=1, default=str) + "\n").encode())


def index_of(source: Source) -> Index:
    """Return the index of a folder, cut to the source's rows and with its labels, or one of ids and labels alone."""
    n, folder = len(source), getattr(source, "index", None)
    unknown_facts = np.zeros(n, np.int64)
    labels = source.labels if source.labels is not None else unknown_facts - 1
    paths = None if source.names is None else Names.of(source.names[:n])
    size, mtime = (unknown_facts, unknown_facts) if folder is None else (folder.size[:n], folder.mtime_ns[:n])
    return Index(source.ids, size, mtime, labels, paths, source.class_names)


def data_fingerprint(source: Source, storage: Storage) -> str:
    """Return the fingerprint of the images, or the one that it stands for in a store where some were mended."""
    raw = storage.read(MENDED)
    known: dict[str, str] = {} if raw is None else json.loads(raw)
    return known.get(source.fingerprint, source.fingerprint)


def _spec(file: JobFile, source: Source, model: Model, n_outputs: int | None, data: str) -> dict[str, Any]:
    spec = {
        "model": {
            "factory": file.model.factory,
            "kwargs": file.model.kwargs,
            "call": file.model.call,
            "method": file.model.method,
            "parameters": fingerprint(model.params),
            "outputs": n_outputs,
        },
        "data": {"fingerprint": data, "images": len(source), "shape": source.shape},
        "input": asdict(file.input),
        "target": asdict(file.target),
        "seed": file.seed,
    }
    return dict(json.loads(json.dumps(spec, default=str)))
