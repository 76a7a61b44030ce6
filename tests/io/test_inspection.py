"""Whatever is flipped, cut or lost in a store is found, named, and can be made way for.

The random tests draw a file of the store, each with the same probability, and a bit in it, each with the same
probability. A kind of place that makes up a share p of that law and is not looked after escapes n draws with
probability (1 - p) ** n: with 100 draws a share of one twentieth with 0.006.
"""

import random
from pathlib import Path

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.groups import write_groups
from jaxplain.io.index import Index, index_bytes
from jaxplain.io.inspection import RESULTS, inspect, mend
from jaxplain.io.ledger import Ledger, Marker, checksum, file_checksum
from jaxplain.io.manifest import create_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage
from jaxplain.io.store import INDEX, open_store

N, SHARD, SHAPE = 10, 4, (5, 3)
ARRAYS = {
    "maps/m/value": ("m", "float16", SHAPE),
    "maps/m/scale": ("m", "float32", ()),
    "rows/label": ("rows", "int32", ()),
    "rows/status": ("rows", "uint8", ()),
}


def fill(storage):
    """A finished store of one method in three shards, with global maps, moments, an index and results of sweeps."""
    sink, ledger, rng = StoreSink(storage), Ledger(storage), np.random.default_rng(0)
    values = {
        path: np.asarray(rng.integers(0, 2, (N, *shape)) if dtype[0] in "iu" else rng.normal(size=(N, *shape)), dtype)
        for path, (_, dtype, shape) in ARRAYS.items()
    }
    values["rows/status"][:] = 0
    specs = [
        ArraySpec(path, (N, *shape), dtype, ("image", "y", "x")[: 1 + len(shape)], SHARD)
        for path, (_, dtype, shape) in ARRAYS.items()
    ]
    sink.create(specs, {"maps/m": {"method": "gradient"}})
    for shard in range(-(-N // SHARD)):
        rows = slice(shard * SHARD, min(N, (shard + 1) * SHARD))
        for path, whole in values.items():
            sink.write(path, rows.start, whole[rows]).result()
        partial = f"partials/m/{shard:06d}.npz"
        storage.write(partial, b"moments of a shard")
        for name in ("rows", "m"):
            sums = {path: checksum(values[path][rows]) for path, (owner, *_) in ARRAYS.items() if owner == name}
            files = {partial: file_checksum(b"moments of a shard")} if name == "m" else {}
            ledger.mark(Marker(name, shard, rows.start, rows.stop - rows.start, sums, files=files))
    write_groups(
        storage, "m", ["label/0", "overall/macro"], {"count": np.arange(2), "mean": rng.normal(size=(2, 5, 3))}
    )
    storage.write(f"{RESULTS}.json", b'{"area": 0.5}')
    ledger.mark(Marker(RESULTS, 0, 0, 1, files={f"{RESULTS}.json": file_checksum(b'{"area": 0.5}')}))
    zeros = np.zeros(N, np.int64)
    storage.write(
        INDEX, index_bytes(Index(np.arange(N, dtype=np.uint64), zeros, zeros, values["rows/label"], None, None))
    )
    create_manifest(storage, {"images": N, "plan": {"store": "float16", "rows_per_shard": SHARD}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("inspection") / "store"
    fill(Storage.open(place))
    return place


@pytest.fixture
def store(folder):
    """The store, whose files are put back afterwards."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield Storage.open(folder)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path not in files:
            path.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def files_of(folder: Path, pattern: str = "") -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and pattern in str(path.relative_to(folder)))


def flip(path: Path, draw: random.Random) -> bytes:
    """Flip a random bit of a file and return what it held."""
    before = path.read_bytes()
    content, bit = bytearray(before), draw.randrange(8 * len(before))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return before


def test_a_sound_store_has_no_fault(store):
    told = []
    found = inspect(store, lambda done, total: told.append((done, total)))
    assert found.faults == ()
    assert (found.markers, found.arrays) == (3 + 3 + 1 + 1, 2 * 3 + 2 * 3 + 2)
    assert told == [(done, 8) for done in range(9)]


@pytest.mark.parametrize("draws", [100, pytest.param(4000, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_found_wherever_it_is(store, folder, draws):
    """See the law above. All files but the index, whose checksums leave out parts of its container's headers."""
    draw = random.Random()
    files = [path for path in files_of(folder) if path.name != INDEX]
    for _ in range(draws):
        path = draw.choice(files)
        before = flip(path, draw)
        changed = [bit for bit, (a, b) in enumerate(zip(before, path.read_bytes(), strict=True)) if a != b]
        assert inspect(store).faults, f"{path.relative_to(folder)}, byte {changed}"
        path.write_bytes(before)
    assert not inspect(store).faults


def readings(folder):
    """What reading does, by a part of the names of the files that it reads."""
    open_it = lambda: open_store(folder)  # noqa: E731
    return {
        "jaxplain.json": open_it,
        "done/m/": lambda: open_it().maps("m")[:],
        "done/rows/": lambda: open_it().rows("label"),
        "maps/m/value/c/": lambda: open_it().maps("m")[:],
        "maps/m/scale/c/": lambda: open_it().maps("m")[:],
        "rows/label/c/": lambda: open_it().rows("label"),
        "global/m/mean/c/": lambda: open_it().globals("m"),
        "done/global/": lambda: open_it().globals("m"),
    }


@pytest.mark.parametrize("part", readings(None))
def test_a_flipped_bit_is_found_by_reading(store, folder, part):
    """A bit of a file of this kind, 20 times: a share of a quarter that no checksum covers escapes with 0.003."""
    draw, read = random.Random(), readings(folder)[part]
    read()
    for _ in range(20):
        path = draw.choice(files_of(folder, part))
        before = flip(path, draw)
        with pytest.raises((InputError, OSError)):
            read()
        path.write_bytes(before)
    read()


@pytest.mark.parametrize("part", ["maps/m/value/c/", "rows/status/c/", "global/m/count/c/", "partials/", "done/rows/"])
def test_a_truncated_file_is_found_and_redone(store, folder, part):
    draw = random.Random()
    path = draw.choice(files_of(folder, part))
    whole = path.read_bytes()
    for length in (0, draw.randrange(1, len(whole) - 1), len(whole) - 1):
        path.write_bytes(whole[:length])
        assert len(inspect(store).faults) == 1
    path.unlink()
    faults = inspect(store).faults
    assert bool(faults) == (part != "done/rows/")  # without its marker a shard is missing, which is no fault
    assert mend(store, faults) == []
    assert not inspect(store).faults


def test_what_rests_on_a_damaged_shard_goes_with_it(store, folder):
    ledger = Ledger(store)
    flip(files_of(folder, "maps/m/value/c/1")[0], random.Random())
    (fault,) = inspect(store).faults
    assert str(fault) == "m: shard 1 (images 4 to 7): maps/m/value is not what its marker vouches for"
    assert fault.can_be_mended
    assert mend(store, [fault]) == []
    assert list(ledger.finished("m")) == [0, 2]
    assert list(ledger.finished("rows")) == [0, 1, 2]
    assert ledger.names() == ["m", "rows"]
    assert store.read(f"{RESULTS}.json") is None


def test_damaged_global_maps_and_results_are_made_anew_alone(store, folder):
    flip(files_of(folder, "global/m/mean/c/")[0], random.Random())
    store.write(f"{RESULTS}.json", b'{"area": 0.7}')
    faults = inspect(store).faults
    assert [fault.name for fault in faults] == ["global/m", RESULTS]
    assert mend(store, faults) == []
    assert Ledger(store).names() == ["m", "rows"]


def test_a_damaged_description_is_named_once_and_deleted(store, folder):
    key = "maps/m/value/zarr.json"
    store.write(key, store.read(key) + b" ")
    faults = inspect(store).faults
    assert [(fault.kind, fault.where) for fault in faults] == [("description", key)]
    assert mend(store, faults) == []
    assert store.read(key) is None
    assert list(Ledger(store).finished("m")) == [0, 1, 2]


def test_a_marker_that_cannot_be_read_goes(store, folder):
    flip(files_of(folder, "done/rows/000002")[0], random.Random())
    (fault,) = inspect(store).faults
    assert (fault.kind, fault.name, fault.shard) == ("marker", "rows", 2)
    mend(store, [fault])
    assert Ledger(store).names() == ["m", "rows"]
    assert list(Ledger(store).finished("rows")) == [0, 1]


@pytest.mark.parametrize(("key", "kind"), [("jaxplain.json", "manifest"), (INDEX, "index")])
def test_what_nothing_makes_anew_is_not_deleted(store, key, kind):
    store.write(key, store.read(key)[:-30])
    faults = inspect(store).faults
    assert [(fault.kind, fault.where) for fault in faults] == [(kind, key)]
    assert mend(store, faults) == list(faults)
    assert store.read(key) is not None


def test_a_place_without_a_store_is_refused(local):
    with pytest.raises(InputError, match="no store here"):
        inspect(local)
