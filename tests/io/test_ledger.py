"""Markers: exclusive, last, and honest about what they vouch for."""

import json

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.ledger import Ledger, Marker, checksum, file_checksum
from jaxplain.io.seals import sealed, unsealed
from jaxplain.io.sink import StoreSink

SPEC = ArraySpec("maps/sg/value", (10, 3), "float32", ("image", "x"), shard_rows=4)


def test_markers_come_back_as_they_were(storage):
    ledger = Ledger(storage)
    assert ledger.finished("sg") == {}
    marker = Marker("sg", 1, 4, 4, {"maps/sg/value": "sha256:0"}, "abc", "cpu", {"seconds": np.float32(0.5)})
    assert ledger.mark(marker)
    assert not ledger.mark(Marker("sg", 1, 4, 4, hash="other"))
    assert ledger.mark(Marker("sg", 0, 0, 4))
    assert ledger.mark(Marker("rows", 1, 4, 4))
    assert ledger.mark(Marker("sg", 12345678, 4, 4))
    found = ledger.finished("sg")
    assert list(found) == [0, 1, 12345678]
    assert found[1] == marker
    assert ledger.names() == ["rows", "sg"]
    ledger.unmark("sg", 1)
    assert list(ledger.finished("sg")) == [0, 12345678]
    assert ledger.mark(marker)


def test_names_below_a_name_are_apart(storage):
    ledger = Ledger(storage)
    ledger.mark(Marker("global/sg", 0, 0, 3))
    assert ledger.finished("global") == {}
    assert list(ledger.finished("global/sg")) == [0]
    assert ledger.names() == ["global/sg"]


@pytest.mark.parametrize("name", ["", "../sg", "a//b", "a b", ".hidden", "a\n", "/a"])
def test_names_that_could_leave_the_folder_are_refused(local, name):
    with pytest.raises(InputError, match="cannot name"):
        Ledger(local).mark(Marker(name, 0, 0, 1))


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b'{"name": "sg"', b"[]", b"{}", b'{"name": "sg", "shard": 3, "first_row": 0, "rows": 4}'),
        *(
            sealed(json.dumps({"name": name, "shard": 3, "first_row": 0, "rows": 4}, indent=1))[cut:]
            for name, cut in (("other", 0), ("sg", 1))
        ),
    ],
)
def test_a_damaged_marker_is_named_with_its_remedy(local, raw):
    local.write("done/sg/000003.json", raw)
    with pytest.raises(InputError, match=r"done/sg/000003\.json.*delete the file"):
        Ledger(local).finished("sg")


def test_other_files_and_later_fields_do_no_harm(local):
    ledger = Ledger(local)
    ledger.mark(Marker("sg", 0, 0, 4))
    content = unsealed(local.read("done/sg/000000.json"))
    later = {**content, "shard": 1, "first_row": 4, "later": 1}
    local.write("done/sg/000001.json", sealed(json.dumps(later, indent=1)))
    local.write("done/sg/notes.txt", b"")
    assert list(ledger.finished("sg")) == [0, 1]


def test_checksums_find_what_changed(local):
    sink, ledger = StoreSink(local), Ledger(local)
    sink.create([SPEC])
    values = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    values[0, 0] = np.nan
    sink.write(SPEC.path, 4, values).result()
    marker = Marker("sg", 1, 4, 4, {SPEC.path: checksum(values)})
    assert ledger.damaged(marker) == []
    sink.write(SPEC.path, 4, values + 1).result()
    assert ledger.damaged(marker) == [SPEC.path]
    local.delete_all(f"{SPEC.path}/c/")
    assert ledger.damaged(marker) == [SPEC.path]


def test_a_marker_vouches_for_the_files_that_describe_its_arrays(local):
    sink, ledger = StoreSink(local), Ledger(local)
    sink.create([SPEC], {"maps/sg": {"method": "smoothgrad"}})
    values = np.zeros((4, 3), np.float32)
    sink.write(SPEC.path, 4, values).result()
    local.write("partials/sg/000001.npz", b"moments")
    files = {"partials/sg/000001.npz": file_checksum(b"moments")}
    ledger.mark(Marker("sg", 1, 4, 4, {SPEC.path: checksum(values)}, files=files))
    marker = ledger.finished("sg")[1]
    nodes = ["zarr.json", "maps/zarr.json", "maps/sg/zarr.json", "maps/sg/value/zarr.json"]
    assert sorted(marker.files) == sorted([*nodes, *files])
    assert ledger.damaged(marker) == []
    local.write("partials/sg/000001.npz", b"moment")
    assert ledger.damaged(marker) == ["partials/sg/000001.npz"]
    local.write("partials/sg/000001.npz", b"moments")
    local.write("maps/sg/zarr.json", local.read("maps/sg/zarr.json").replace(b"smoothgrad", b"smoothgrae"))
    assert ledger.damaged(marker) == ["maps/sg/zarr.json"]


def test_checksum_is_of_the_values_in_order():
    values = np.arange(6, dtype=np.float16).reshape(2, 3)
    assert checksum(values) == checksum(np.asfortranarray(values))
    assert checksum(values) != checksum(values[::-1])
    assert checksum(np.float32(1)[None]) != checksum(np.float32(2)[None])
