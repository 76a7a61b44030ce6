"""The formats of the store, measured small."""

import pytest

from benchmarks import formats, tables
from benchmarks.record import facts


@pytest.mark.slow
def test_float16_keeps_its_bound_and_coarse_maps_take_less(tmp_path):
    rows = {name: formats.measure(name, "small_cnn", 4, 16) for name in ("gradient", "CAM", "CAM, full")}
    for row in rows.values():
        assert 0 < row["of the bound, largest"] <= 1 and 0 < row["relative L2, largest"] < 2**-11
    assert rows["CAM"]["bytes per image, float16"] < rows["CAM, full"]["bytes per image, float16"]
    shown = tables.table("formats", {"formats": {**facts(), "rows": rows, "size": 16}})
    assert "| gradient: gradient | " in shown and shown.count("\n| ") == 3


def test_an_unknown_family_is_not_measured():
    with pytest.raises(KeyError):
        formats.measure("tea leaves", "small_cnn", 4, 16)
