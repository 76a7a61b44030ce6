"""Statistics over groups of images (per label, per prediction, overall): ``global/<name>/``, replaced as a whole.

The marker ``done/global/<name>`` goes first and comes back last, so that a half-written group is never taken for one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.ledger import Ledger, Marker, checksum
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage

FIELDS = ("count", "mean", "variance")


def write_groups(
    storage: Storage,
    name: str,
    groups: Sequence[str],
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any] | None = None,
    dimensions: Sequence[str] = ("y", "x"),
    *,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write or replace the statistics of one method.

    Args:
        storage: The store.
        name: The method's name.
        groups: Name per group, such as ``label/0``, ``prediction/3``, ``overall/macro``.
        arrays: Field (``count``, ``mean``, ``variance`` or more) -> values with the groups as first axis.
        attributes: JSON values to keep, such as the steps that the maps went through.
        dimensions: Names of the axes of one map.
        facts: JSON values for the marker, such as what they were made of.

    Raises:
        InputError: An array does not have one row per group.
    """
    path = f"global/{name}"
    specs = []
    for field, values in arrays.items():
        if len(values) != len(groups):
            raise InputError(f"{path}/{field}: {len(values)} rows for {len(groups)} groups; give one row per group.")
        names = ("group", *dimensions) if values.ndim == 1 + len(dimensions) else _numbered(values.ndim)
        specs.append(ArraySpec(f"{path}/{field}", values.shape, values.dtype, names, shard_rows=len(groups)))
    ledger, sink = Ledger(storage), StoreSink(storage)
    ledger.unmark(path, 0)
    storage.delete_all(f"{path}/")
    sink.create(specs, {path: {**(attributes or {}), "groups": list(groups)}})
    values_at = {f"{path}/{field}": np.asarray(values) for field, values in arrays.items()}
    pending = [sink.write(place, 0, values) for place, values in values_at.items()]
    for write in pending:
        write.result()
    sums = {place: checksum(values) for place, values in values_at.items()}
    ledger.mark(Marker(path, 0, 0, len(groups), sums, facts=facts or {}))


def read_groups(storage: Storage, name: str) -> dict[str, Any]:
    """Return ``groups`` (names), ``attributes``, and every array of ``global/<name>`` by its field.

    Raises:
        InputError: They have not been computed, or not to the end.
    """
    path = f"global/{name}"
    marker = Ledger(storage).finished(path).get(0)
    node = storage.node(path)
    if marker is None or node is None:
        raise InputError(f"{storage.where(path)}: no global maps yet; run `jaxplain finalize {storage.url}`.")
    attributes = dict(node.get("attributes", {}))
    found: dict[str, Any] = {"groups": list(attributes.pop("groups", [])), "attributes": attributes}
    for array in marker.checksums:
        found[array.rpartition("/")[2]] = storage.open_array(array).read(slice(None))
    return found


def _numbered(ndim: int) -> tuple[str, ...]:
    return ("group", *(f"axis{i}" for i in range(1, ndim)))
