"""The benchmark of many images, small: two workers share a store, finished rows are not run again, aims are judged."""

import json

import pytest

from benchmarks import scale


@pytest.mark.slow
def test_two_workers_explain_everything_and_the_row_is_kept(tmp_path, monkeypatch):
    found = scale.row(tmp_path / "60-2", 60, 2, batch=10, rows=20)
    assert found["complete"] and not found["resumed"] and found["explained"] == 60
    assert len(found["peak memory (MB)"]) == 2 and found["finalize seconds"] > 0
    assert found["store bytes"] > 60 * 64 * 64 and found["images/s"] > 0
    monkeypatch.setattr(scale, "explain", lambda folder, workers: pytest.fail("run again"))
    assert scale.row(tmp_path / "60-2", 60, 2) == found


def end(images, seconds, peak):
    return {
        "images in the last run": images,
        "seconds of explaining": seconds,
        "complete": True,
        "peak memory (MB)": peak,
        "seconds by stage": {"aggregating": 0.5},
        "share of time waiting for": {"input": 0.0},
    }


def test_figures_are_those_of_all_workers():
    found = scale.figures([end(60, 2.0, 300), end(40, 1.5, 310)], 100)
    assert found["images/s"] == 50.0 and found["seconds per image"] == 0.035 and found["finalize seconds"] == 1.0
    assert not found["resumed"] and scale.figures([end(60, 2.0, 300)], 100)["resumed"]
    assert scale.figures([end(0, 0.0, 300)], 100)["images/s"] is None


def test_aims_are_judged_from_the_rows():
    rows = [
        {"images": n, "peak memory (MB)": [peak, 1], "seconds per image": cost}
        for n, peak, cost in ((3000, 200, 0.010), (10_000, 400, 0.0105), (300_000, 420, 0.0115))
    ]
    found = scale.verdicts(rows)
    assert found["peak memory, last over first"] == 1.05 and found["memory is flat"]
    assert found["cost, largest drift"] == 0.15 and not found["cost is constant"]
    assert scale.verdicts(rows[:1])["memory is flat"] is None


def test_the_expected_time_is_told():
    assert scale.expected(300_000, None) == "300,000 images: no speed is known yet"
    assert "about 50 min 0 s at the 100 images/s" in scale.expected(300_000, {"images/s": 100.0})


def test_images_are_generated_in_blocks_and_once(tmp_path):
    scale.prepare(tmp_path, 7, batch=2, rows=4)
    before = (tmp_path / "images.npy").stat().st_mtime_ns
    scale.prepare(tmp_path, 7, batch=2, rows=4)
    assert (tmp_path / "images.npy").stat().st_mtime_ns == before
    assert (
        "batch = 2" in (tmp_path / "job.toml").read_text()
        and json.dumps([64, 64, 1]) in (tmp_path / "job.toml").read_text()
    )
