"""Every file of a store held against what vouches for it, and the way back where something is wrong.

The manifest and the markers carry their own digests; a marker vouches for the values of its shard, for the files that
describe the arrays, and for moments and results that are files of their own. So a flipped bit anywhere in what counts
is found. What has no marker does not count, and is not looked at.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from jaxplain._errors import InputError
from jaxplain.io.index import parse_index
from jaxplain.io.ledger import Ledger, Marker, marker_key
from jaxplain.io.manifest import KEY, read_manifest
from jaxplain.io.storage import Storage
from jaxplain.io.store import INDEX, ROWS

THREADS = 2
"""Shards read at once; one may hold 200 MB."""
RESULTS = "peppr/results"
"""Name under which the ledger keeps the results of the sweeps."""
NO_METHOD = ("global/", "peppr")
"""How the names of what is made from methods begin."""
Kind = Literal["manifest", "index", "marker", "description", "content"]


@dataclass(frozen=True)
class Fault:
    """Something that is not what it was.

    Args:
        kind: What it is: the manifest, the index, a marker, the description of an array or a group, or what a marker
            vouches for.
        where: Its key, or the path of the array.
        why: What is wrong.
        name: Name of the marker in question; empty where there is none.
        shard: Its shard.
        rows: First and last row of the shard, where the marker can be read.
    """

    kind: Kind
    where: str
    why: str
    name: str = ""
    shard: int = -1
    rows: tuple[int, int] | None = None

    def __str__(self) -> str:
        images = "" if self.rows is None else f" (images {self.rows[0]} to {self.rows[1]})"
        return f"{self.name}: shard {self.shard}{images}: {self.why}" if self.name else f"{self.where}: {self.why}"

    @property
    def can_be_mended(self) -> bool:
        """Whether `mend` can make way for what is lost to be computed again."""
        return self.kind in ("marker", "description", "content")


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Args:
        faults: What is wrong.
        markers: How many markers were read.
        arrays: How many shards of arrays were held against their checksums.
    """

    faults: tuple[Fault, ...]
    markers: int
    arrays: int


def inspect(storage: Storage, tell: Callable[[int, int], None] = lambda done, total: None) -> Inspection:
    """Read a store and name everything that is not what it was.

    Args:
        storage: The store; shards that are finished meanwhile may be missed.
        tell: Called with how many markers were gone through, and how many there are.

    Raises:
        InputError: There is no store.
        OSError: It cannot be read.
    """
    ledger = Ledger(storage)
    names = ledger.names()
    if storage.read(KEY) is None and not names:
        raise InputError(f"{storage.url}: no store here; check the path.")
    faults, markers = [*_manifest(storage), *_index(storage)], list[Marker]()
    for name in names:
        for shard, marker in ledger.read(name):
            if isinstance(marker, InputError):
                faults.append(Fault("marker", marker_key(name, shard), "its marker is damaged", name, shard))
            else:
                markers.append(marker)
    seen = set[str]()
    tell(0, len(markers))
    with ThreadPoolExecutor(THREADS, "jaxplain-verify") as pool:
        for done, (marker, wrong) in enumerate(zip(markers, pool.map(ledger.damaged, markers), strict=True), 1):
            for where in wrong:
                if not where.endswith("zarr.json"):
                    faults.append(_content(marker, where))
                elif where not in seen:  # all markers of an array vouch for its description
                    seen.add(where)
                    faults.append(Fault("description", where, "it is not what was written"))
            tell(done, len(markers))
    return Inspection(tuple(faults), len(markers), sum(len(marker.checksums) for marker in markers))


def mend(storage: Storage, faults: Iterable[Fault]) -> list[Fault]:
    """Declare damaged shards unfinished, and what was made from them; delete damaged descriptions.

    The next run computes the shards again and writes the descriptions anew. Nothing else may write to the store
    meanwhile.

    Returns:
        What this cannot mend.
    """
    faults, ledger = list(faults), Ledger(storage)
    redone = {fault.name for fault in faults if fault.name and fault.can_be_mended}
    methods = {name for name in redone if not name.startswith(NO_METHOD)}
    made = [name for name in ledger.names() if name.startswith("global/")]
    # What was made from a shard goes before its marker: nothing is left that rests on a shard declared unfinished.
    for name in made:
        if ROWS in methods or name.removeprefix("global/") in methods:
            ledger.unmark(name, 0)
    if methods or any(name.startswith("peppr") for name in redone):
        forget_results(storage)
    for fault in faults:
        if fault.kind == "description":
            storage.delete(fault.where)
        elif fault.can_be_mended:
            ledger.unmark(fault.name, fault.shard)
        if fault.kind == "content" and not fault.where.endswith((".json", ".npz")):
            # A last shard that is not full would be read before it is written again.
            shard = f"{fault.where}/c/{fault.shard}"
            for key in storage.list(shard):
                if key == shard or key.startswith(f"{shard}/"):
                    storage.delete(key)
    return [fault for fault in faults if not fault.can_be_mended]


def forget_results(storage: Storage) -> None:
    """Delete the results of the sweeps: what they were made of changes."""
    Ledger(storage).unmark(RESULTS, 0)
    storage.delete(f"{RESULTS}.json")


def _content(marker: Marker, where: str) -> Fault:
    why = f"{where} is not what its marker vouches for"
    rows = marker.first_row, marker.first_row + marker.rows - 1
    of_images = not marker.name.startswith(NO_METHOD)
    return Fault("content", where, why, marker.name, marker.shard, rows if of_images else None)


def _manifest(storage: Storage) -> list[Fault]:
    try:
        read_manifest(storage)
    except InputError as error:
        return [Fault("manifest", KEY, _reason(error, storage.where(KEY)))]
    return []


def _index(storage: Storage) -> list[Fault]:
    raw = storage.read(INDEX)
    if raw is None:
        return []
    try:
        parse_index(raw, storage.where(INDEX))
    except InputError as error:
        return [Fault("index", INDEX, _reason(error, storage.where(INDEX)))]
    return []


def _reason(error: InputError, where: str) -> str:
    return str(error).removeprefix(f"{where}: ").rstrip(".")
