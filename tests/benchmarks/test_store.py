"""The benchmark of the write path, small: both ways write the same bytes in the same layout."""

import numpy as np

from benchmarks.demo_job import smoothgrad_job
from benchmarks.store import OURS, alone, arrays, filled, measure, ours


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("c/**/*") if path.is_file()}


def test_tensorstore_alone_writes_what_the_run_writes(tmp_path):
    maps = np.random.default_rng(0).normal(size=(2, 3, 8, 8, 3)).astype(np.float32)
    shards = [filled(number, one) for number, one in enumerate(maps)]
    specs = arrays(3, 2, 8)
    alone(tmp_path / "alone", specs, shards, 1)
    ours(tmp_path / "ours", specs, shards, smoothgrad_job())
    want, got = files(tmp_path / "alone"), files(tmp_path / "ours")
    assert len(want) == 4 and want == got
    assert len(list((tmp_path / "ours" / "done" / "smoothgrad").iterdir())) == 2


def test_the_three_ways_come_in_turn(tmp_path):
    found = measure(0.002, 2, 2, 8, tmp_path)
    assert found["rows per shard"] == 5 and found["bytes"] == 2 * 5 * (8 * 8 * 3 * 2 + 4)
    assert len(found["seconds"][OURS]["values"]) == 2 == len(found["ratio"]["values"])
    assert found["stored bytes"] > 0 and not list(tmp_path.iterdir())
