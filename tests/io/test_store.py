"""Reading a store: only finished shards count, decoding is hidden, what is missing is named."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.encoding import encode
from jaxplain.io.groups import write_groups
from jaxplain.io.index import Index, Names, index_bytes
from jaxplain.io.ledger import Ledger, Marker
from jaxplain.io.manifest import create_manifest
from jaxplain.io.maparray import listed
from jaxplain.io.sink import StoreSink
from jaxplain.io.store import open_store

N, SHARD = 10, 4
MAPS = np.random.default_rng(0).normal(size=(N, 3, 2)).astype(np.float32)


def fill(storage, shards=(0, 1, 2), how="float16"):
    """A store with one method, of which some shards are finished."""
    create_manifest(storage, {"job": {"seed": 1}})
    sink, ledger = StoreSink(storage), Ledger(storage)
    value, scale = encode(MAPS, how)
    arrays = {
        "maps/sg/value": (value, ("image", "y", "x")),
        "maps/sg/scale": (scale, ("image",)),
        "rows/status": (np.arange(N, dtype=np.uint8), ("image",)),
        "rows/label": (np.arange(N), ("image",)),
        "rows/gap/sg": (np.arange(N, dtype=np.float32), ("image",)),
    }
    sink.create([ArraySpec(path, a.shape, a.dtype, dims, SHARD) for path, (a, dims) in arrays.items()])
    for shard in shards:
        rows = slice(shard * SHARD, min(N, (shard + 1) * SHARD))
        for path, (a, _) in arrays.items():
            sink.write(path, rows.start, a[rows]).result()
        for name in ("rows", "sg"):
            ledger.mark(Marker(name, shard, rows.start, rows.stop - rows.start))
    return open_store(storage.url)


@pytest.mark.parametrize("how", ["float16", "float32"])
def test_a_finished_store(storage, how):
    store = fill(storage, how=how)
    assert store.names == ("sg",)
    assert set(store.fields) == {"gap/sg", "label", "status"}
    assert store.manifest["job"] == {"seed": 1}
    assert store.finished("sg") == (0, 1, 2) and store.complete("sg") and store.complete("rows")
    maps = store.maps("sg")
    assert (maps.shape, maps.dims, maps.dtype, len(maps)) == ((N, 3, 2), ("image", "y", "x"), np.float32, N)
    close = {"atol": np.abs(MAPS).max() * 2**-11, "rtol": 0}
    np.testing.assert_allclose(np.asarray(maps), MAPS, **close)
    np.testing.assert_allclose(np.concatenate([maps[rows] for rows in maps.shards()]), MAPS, **close)
    np.testing.assert_allclose(maps[[7, 2, 2]], MAPS[[7, 2, 2]], **close)
    np.testing.assert_allclose(maps[np.arange(N) > 6], MAPS[7:], **close)
    np.testing.assert_allclose(maps[-1], MAPS[-1], **close)
    assert maps[3].shape == (3, 2) and maps[[]].shape == (0, 3, 2) and maps[2:2].shape == (0, 3, 2)
    np.testing.assert_array_equal(store.rows("gap/sg"), np.arange(N))
    np.testing.assert_array_equal(store.rows("label", rows=[8, 1]), [8, 1])
    assert store.finished_rows().all() and store.finished_rows("sg").all()
    assert not store.has_globals("sg") and store.peppr() is None and store.index is None


def test_unfinished_shards_are_missing_though_their_bytes_are_there(local):
    store = fill(local, shards=(0, 1, 2))
    for name in ("sg", "rows"):
        store.ledger.unmark(name, 1)
    assert store.finished("sg") == (0, 2) and not store.complete("sg") and not store.complete("rows")
    with pytest.raises(InputError, match=r"maps/sg: shards 1 are not finished"):
        store.maps("sg")[:]
    with pytest.raises(InputError, match="shards 1 are not finished"):
        store.rows("label")
    assert store.maps("sg")[0:4].shape == (4, 3, 2)
    maps = store.maps("sg", missing="nan")[:]
    assert np.isnan(maps[4:8]).all() and np.isfinite(maps[:4]).all() and np.isfinite(maps[8:]).all()
    np.testing.assert_array_equal(store.rows("label", missing="fill")[[3, 4, 8]], [3, 0, 8])
    assert np.isnan(store.rows("gap/sg", missing="fill")[4:8]).all()
    np.testing.assert_array_equal(np.flatnonzero(~store.finished_rows("sg")), [4, 5, 6, 7])


def test_nothing_written_yet_reads_as_nan(local):
    store = fill(local, shards=())
    assert np.isnan(store.maps("sg", missing="nan")[:]).all()
    assert not store.finished_rows().any() and not store.complete("sg")


def test_questions_that_have_no_answer_name_the_remedy(local):
    with pytest.raises(InputError, match="no store"):
        open_store(local.url)
    local.write("file", b"")
    with pytest.raises(InputError):
        open_store(f"{local.url}/file")
    store = fill(local)
    with pytest.raises(InputError, match="did you mean 'label'"):
        store.rows("labels")
    with pytest.raises(InputError, match="unknown method 'sq'"):
        store.maps("sq")
    with pytest.raises(InputError, match="jaxplain finalize"):
        store.globals("sg")
    with pytest.raises(InputError, match="missing"):
        store.maps("sg", missing="zero")
    with pytest.raises(InputError, match="whole numbers below 10"):
        store.maps("sg")[[10]]
    local.write("peppr/results.json", b"{")
    with pytest.raises(InputError, match=r"peppr/results\.json"):
        store.peppr()


def test_groups_are_replaced_as_a_whole(storage):
    store = fill(storage)
    mean = np.random.default_rng(0).normal(size=(3, 3, 2))
    groups = ["label/0", "label/1", "overall/macro"]
    write_groups(storage, "sg", groups, {"count": np.array([3, 0, 3]), "mean": mean}, {"steps": {"sign": "absolute"}})
    found = store.globals("sg")
    assert found["groups"] == groups and found["attributes"] == {"steps": {"sign": "absolute"}}
    np.testing.assert_array_equal(found["mean"], mean)
    write_groups(storage, "sg", groups[:2], {"count": np.array([5, 5]), "mean": mean[:2] + 1})
    assert store.globals("sg")["groups"] == groups[:2]
    np.testing.assert_array_equal(store.globals("sg")["mean"], mean[:2] + 1)
    assert storage.open_array("global/sg/mean").dimensions == ("group", "y", "x")
    with pytest.raises(InputError, match="one row per group"):
        write_groups(storage, "sg", groups, {"mean": mean[:2]})
    assert store.names == ("sg",)


def test_groups_that_were_cut_short_are_none(local, monkeypatch):
    store = fill(local)
    arrays = {"count": np.array([1]), "mean": np.zeros((1, 3, 2))}
    write_groups(local, "sg", ["overall/micro"], arrays)
    assert store.has_globals("sg")

    def killed(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(StoreSink, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        write_groups(local, "sg", ["overall/micro"], arrays)
    assert not store.has_globals("sg")
    with pytest.raises(InputError, match="finalize"):
        store.globals("sg")


def test_scores_and_index_come_back(local):
    store = fill(local)
    local.write("peppr/results.json", json.dumps({"area": 0.5}).encode())
    assert store.peppr() == {"area": 0.5}
    n = np.arange(2)
    local.write("index.npz", index_bytes(Index(n.astype(np.uint64), n, n, n, Names.of(["<b>", "b\n"]))))
    assert list(store.index.paths) == ["<b>", "b\n"]


def test_lists_of_shards_are_short():
    assert listed([]) == ""
    assert listed([3, 1, 2, 7, 9, 8]) == "1-3, 7-9"


INDEXES = (
    st.integers(-N, N - 1)
    | st.slices(N)
    | st.lists(st.integers(-N, N - 1), max_size=6)
    | st.lists(st.booleans(), min_size=N, max_size=N).map(lambda mask: np.array(mask))
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=INDEXES)
def test_maps_are_indexed_as_arrays_are(local, index):
    if not local.list():
        fill(local, how="float32")
    want = MAPS[np.asarray(index, np.int64)] if isinstance(index, list) else MAPS[index]
    np.testing.assert_array_equal(open_store(local.url).maps("sg")[index], want)
