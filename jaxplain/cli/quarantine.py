"""The images that a run left out, with their names and the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxplain.io.status import OK, REASONS
from jaxplain.io.store import Store


@dataclass(frozen=True)
class Quarantined:
    """An image that was left out.

    Args:
        row: Its row.
        name: Its file, or its row.
        reason: Why.
        shard: The shard that holds it.
    """

    row: int
    name: str
    reason: str
    shard: int


def quarantined(store: Store, reasons: Mapping[int, str] | None = None) -> tuple[Quarantined, ...]:
    """List the images with a status other than 0, in the order of the rows.

    Args:
        store: An open store; shards without a marker are passed over.
        reasons: What the source said of a row, in more words than the status code.
    """
    if "status" not in store.fields:
        return ()
    status = np.where(store.finished_rows(), store.rows("status", missing="fill"), OK)
    bad = np.flatnonzero(status != OK)
    if not len(bad):
        return ()
    index = store.index
    paths: Sequence[str] | None = None if index is None else index.paths
    shard_rows = store.storage.open_array("rows/status").shard_rows
    return tuple(
        Quarantined(
            int(row),
            f"image {row}" if paths is None else paths[int(row)],
            (reasons or {}).get(int(row)) or REASONS.get(int(status[row]), f"status {status[row]}"),
            int(row) // shard_rows,
        )
        for row in bad
    )
