"""Images in a zarr array, version 2 or 3, local or in the cloud, read through TensorStore."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.input import Input
from jaxplain.io.labels import check_labels
from jaxplain.io.sources.arrays import ArraySource, array_source
from jaxplain.io.sources.npy import read_labels
from jaxplain.io.storage import Storage
from jaxplain.io.storedarray import StoredArray


class _ZarrRows:
    """A stored array that is indexed by rows; chunks that were never written hold the fill value, as zarr says."""

    def __init__(self, array: StoredArray):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        picked = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        if not isinstance(picked, slice) and len(picked) > 1 and (np.diff(picked) == 1).all():
            picked = slice(int(picked[0]), int(picked[-1]) + 1)
        return self._array.read(picked)


def zarr_source(
    url: str,
    *,
    images: str = "images",
    labels: str | None = None,
    input: Input | None = None,
    names: Sequence[str] | None = None,
) -> ArraySource:
    """Make a source of a zarr group (or of one array).

    Args:
        url: Path or address of the group, or of the array itself.
        images: Path of the images inside the group.
        labels: Path of the labels inside the group, or a ``.csv`` or ``.npy`` file; default ``"labels"``, if there.
        input: What is done to the pixels.
        names: Class names.

    Raises:
        InputError: No such array, or it does not fit.
    """
    storage = Storage.open(url)
    path = "" if not _is_array(storage, images) and _is_array(storage, "") else images
    if not _is_array(storage, path):
        raise InputError(f"{storage.where(path)}: no zarr array here; name it as zarr://{url}?images=<path>.")
    pixels = _ZarrRows(storage.open_array(path, holes=True))
    chosen = labels if labels is not None else ("labels" if _is_array(storage, "labels") else None)
    known = None
    if chosen is not None and chosen.lower().endswith((".csv", ".npy")):
        known = read_labels(chosen, len(pixels), names)
    elif chosen is not None:
        if not _is_array(storage, chosen):
            raise InputError(f"{storage.where(chosen)}: no zarr array of labels here; check source.labels.")
        values = storage.open_array(chosen, holes=True).read(slice(None))
        known = check_labels(values, len(pixels), names, storage.where(chosen))
    return array_source(pixels, known, input=input, names=names, where=storage.where(path))


def _is_array(storage: Storage, path: str) -> bool:
    node = storage.node(path)
    if node is not None:
        return node.get("node_type") == "array"
    return storage.read(f"{path}/.zarray".lstrip("/")) is not None
