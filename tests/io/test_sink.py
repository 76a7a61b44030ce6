"""Arrays: what is on disk, who can read it, and what a sink refuses."""

import errno

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io import sink as sink_module
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.sink import StoreSink

SPEC = ArraySpec("maps/sg/value", (10, 4, 3), "float16", ("image", "y", "x"), shard_rows=4, attributes={"unit": "1"})


def values_of(n, dtype="float16", shape=(4, 3)):
    return np.random.default_rng(n).normal(size=(n, *shape)).astype(dtype)


def test_shards_are_written_whole_and_read_back(storage):
    sink = StoreSink(storage)
    sink.create([SPEC], {"maps/sg": {"method": "smoothgrad"}})
    maps = values_of(10)
    pending = [sink.write(SPEC.path, first, maps[first : first + 4]) for first in (8, 0, 4)]
    for write in pending:
        write.result()
        assert write.done()
    array = storage.open_array(SPEC.path)
    assert (array.shape, array.dtype, array.dimensions) == ((10, 4, 3), np.float16, ("image", "y", "x"))
    assert array.shard_rows == 4
    np.testing.assert_array_equal(array.read(slice(None)), maps)
    np.testing.assert_array_equal(array.read([9, 0, 3]), maps[[9, 0, 3]])
    np.testing.assert_array_equal(array.read(slice(7, 2, -2)), maps[7:2:-2])
    assert array.read([]).shape == (0, 4, 3)
    assert storage.node("maps/sg")["attributes"] == {"method": "smoothgrad"}
    assert storage.node(SPEC.path)["attributes"] == {"unit": "1"}


def test_several_shards_may_go_in_one_write(storage):
    sink = StoreSink(storage)
    sink.create([SPEC])
    sink.write(SPEC.path, 0, values_of(10)).result()
    np.testing.assert_array_equal(storage.open_array(SPEC.path).read(slice(None)), values_of(10))


def test_zeros_and_fill_values_are_really_stored(local, tmp_path):
    sink = StoreSink(local)
    fill = ArraySpec("rows/status", (8,), "uint8", ("image",), shard_rows=4)
    sink.create([SPEC, fill])
    sink.write(SPEC.path, 0, np.zeros((4, 4, 3), np.float16)).result()
    sink.write(SPEC.path, 4, np.full((4, 4, 3), np.nan, np.float16)).result()
    sink.write(fill.path, 4, np.zeros(4, np.uint8)).result()
    assert local.list("maps/sg/value/c/") == [f"maps/sg/value/c/{i}/0/0" for i in (0, 1)]
    assert local.list("rows/status/c/") == ["rows/status/c/1"]


def test_what_was_never_written_is_no_zero(local):
    StoreSink(local).create([SPEC])
    with pytest.raises(FileNotFoundError, match="maps/sg/value"):
        local.open_array(SPEC.path).read(slice(0, 1))
    assert np.isnan(local.open_array(SPEC.path, holes=True).read(slice(None))).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bool", "int8", "uint8", "int64", "uint64"])
def test_zarr_python_and_xarray_open_the_store(local, dtype):
    zarr, xarray = pytest.importorskip("zarr"), pytest.importorskip("xarray")
    spec = ArraySpec("maps/m/value", (5, 4, 3), dtype, ("image", "y", "x"), shard_rows=2, attributes={"a": 1})
    scale = ArraySpec("maps/m/scale", (5,), "float32", ("image",), shard_rows=2)
    sink = StoreSink(local)
    sink.create([spec, scale])
    want = (np.random.default_rng(0).random((5, 4, 3)) * 100).astype(dtype)
    sink.write(spec.path, 0, want).result()
    sink.write(scale.path, 0, np.ones(5, np.float32)).result()
    group = zarr.open_group(local.url, mode="r")
    np.testing.assert_array_equal(group[spec.path][:], want)
    assert group[spec.path].attrs["a"] == 1
    assert group[spec.path].chunks == (1, 4, 3) and group[spec.path].shards == (2, 4, 3)
    with xarray.open_zarr(local.url, group="maps/m", consolidated=False) as opened:
        assert opened["value"].dims == ("image", "y", "x")
        assert opened["scale"].dims == ("image",)
        np.testing.assert_array_equal(opened["value"].values, want)


def test_zarr_python_reads_nan_where_nothing_was_written(local):
    zarr = pytest.importorskip("zarr")
    StoreSink(local).create([SPEC])
    assert np.isnan(zarr.open_array(f"{local.url}/{SPEC.path}", mode="r")[:]).all()


def test_chunks_may_cut_other_axes(storage):
    spec = ArraySpec("peppr/scores", (6, 3, 5), "float32", ("image", "step", "output"), shard_rows=3, chunk=(3, 3, 1))
    sink = StoreSink(storage)
    sink.create([spec])
    want = values_of(6, "float32", (3, 5))
    sink.write(spec.path, 0, want).result()
    np.testing.assert_array_equal(storage.open_array(spec.path).read(slice(2, 5)), want[2:5])


def test_creating_again_is_fine_and_creating_something_else_is_not(storage):
    sink = StoreSink(storage)
    sink.create([SPEC], {"maps/sg": {"k": 1}})
    sink.create([SPEC], {"maps/sg": {"k": 1}})
    sink.create([SPEC])
    assert storage.node("maps/sg")["attributes"] == {"k": 1}
    for spec in (
        ArraySpec(SPEC.path, (11, 4, 3), "float16", SPEC.dimensions, shard_rows=4, attributes={"unit": "1"}),
        ArraySpec(SPEC.path, SPEC.shape, "float32", SPEC.dimensions, shard_rows=4, attributes={"unit": "1"}),
        ArraySpec(SPEC.path, SPEC.shape, "float16", SPEC.dimensions, shard_rows=5, attributes={"unit": "1"}),
    ):
        with pytest.raises(InputError, match="choose another output"):
            sink.create([spec])
    with pytest.raises(InputError, match="attributes"):
        sink.create([SPEC], {"maps/sg": {"k": 2}})


@pytest.mark.parametrize(
    ("first", "values", "match"),
    [
        (1, values_of(4), "whole shards"),
        (0, values_of(3), "whole shards"),
        (8, values_of(4), "whole shards"),
        (-4, values_of(4), "whole shards"),
        (0, values_of(0), "whole shards"),
        (0, values_of(4, "float32"), "float16"),
        (0, values_of(4, shape=(3, 4)), "shape"),
    ],
)
def test_writes_that_do_not_fit_are_refused(local, first, values, match):
    sink = StoreSink(local)
    sink.create([SPEC])
    with pytest.raises(InputError, match=match):
        sink.write(SPEC.path, first, values)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"dtype": "complex64"}, "dtype"),
        ({"shape": (0, 4, 3)}, "positive"),
        ({"dimensions": ("image",)}, "names"),
        ({"shard_rows": 0}, "shard_rows"),
        ({"chunk": (3, 4, 3)}, "divide"),
    ],
)
def test_specs_that_make_no_sense_are_refused(change, match):
    fields = {"path": "a", "shape": (10, 4, 3), "dtype": "float32", "dimensions": ("i", "y", "x"), "shard_rows": 4}
    with pytest.raises(InputError, match=match):
        ArraySpec(**{**fields, **change})


class FailingArray:
    """An array whose first writes fail."""

    def __init__(self, *codes):
        self.codes, self.n_writes = list(codes), 0

    def write(self, first_row, values):
        self.n_writes += 1
        return self

    def done(self):
        return True

    def result(self):
        if self.codes:
            raise OSError(self.codes.pop(0), "failed")


def test_errors_that_may_pass_are_tried_again_and_others_are_not(monkeypatch):
    monkeypatch.setattr(sink_module, "PAUSE", 0.0)
    passing = FailingArray(errno.EIO, errno.ESTALE)
    sink_module._ShardWrite(passing, 0, np.zeros(1)).result()
    assert passing.n_writes == 3
    lasting = FailingArray(errno.ENOSPC)
    with pytest.raises(OSError, match="failed"):
        sink_module._ShardWrite(lasting, 0, np.zeros(1)).result()
    assert lasting.n_writes == 1
    endless = FailingArray(*[errno.EIO] * 9)
    with pytest.raises(OSError, match="failed"):
        sink_module._ShardWrite(endless, 0, np.zeros(1)).result()
    assert endless.n_writes == 3


@pytest.mark.parametrize("cut", [0, 30, -8])
def test_damaged_shards_are_noticed(local, tmp_path, cut):
    sink = StoreSink(local)
    sink.create([SPEC])
    sink.write(SPEC.path, 0, values_of(4)).result()
    file = tmp_path / "store" / "maps/sg/value/c/0/0/0"
    raw = bytearray(file.read_bytes())
    if cut == 0:
        raw[5] ^= 1
    file.write_bytes(raw if cut == 0 else raw[:cut])
    with pytest.raises(InputError, match="damaged"):
        local.open_array(SPEC.path).read(slice(0, 4))


def test_what_is_no_array_is_named(local):
    with pytest.raises(InputError, match="no zarr array"):
        local.open_array("nothing")
    local.write("broken/zarr.json", b'{"zarr_format": 3')
    with pytest.raises(InputError, match=r"broken/zarr.json"):
        local.open_array("broken")
    local.write("odd/zarr.json", b'{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(InputError, match="odd"):
        local.open_array("odd")
