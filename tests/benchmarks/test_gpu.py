"""The accelerator's benchmark, small: every part gives rows, limits of time are kept, and the table can be read."""

import json

import pytest

from benchmarks.gpu import jobs, kernels, methods, peers
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.row import LEFT_OUT
from benchmarks.gpu.table import table
from benchmarks.workloads import USUAL, Workload, network

WORKLOAD = Workload("small_cnn", "gradient", batch=2, size=16, n_samples=2)


@pytest.fixture(scope="module")
def model():
    return network("small_cnn", 16)


def rows_of_methods(model, clock):
    return list(methods.rows(WORKLOAD, model, "bf16", clock, batches=(3,), rounds=2, memory="1GiB"))


@pytest.mark.slow
def test_every_usual_method_has_a_row_beside_its_bare_passes(model):
    rows = rows_of_methods(model, Clock(1000))
    assert not [row for row in rows if "failed" in row]
    assert [row["row"] for row in rows if row["row"] in USUAL] == list(USUAL)
    assert {"bare gradient", "bare forward"} <= {row["row"] for row in rows}
    assert all(row["images/s"] > 0 for row in rows)


def test_what_does_not_fit_into_the_time_is_listed(model):
    found = list(
        jobs.rows(model, "bf16", Clock(-1), size=16, classes=10, images=(2, 2, 2), batch=2, memory="1GiB")
    ) + list(kernels.rows(Clock(-1), small=True, rounds=1))
    assert all(LEFT_OUT.items() <= row.items() for row in found) and len(found) > 10


def test_jobs_say_what_many_images_would_take(model):
    first, second, swept = jobs.rows(
        model, "bf16", Clock(1000), size=16, classes=10, images=(4, 2, 2), batch=2, memory="1GiB"
    )
    for row, images in ((first, 4), (second, 2)):
        assert row["minutes for 300,000"] == pytest.approx(300_000 / row["images/s"] / 60)
        assert row["images"] == images
    assert swept["passes per image"] > 2 * 9


@pytest.mark.slow
def test_captum_runs_in_turn_with_ours():
    pytest.importorskip("captum")
    size = {"batch": 2, "samples": 2, "size": 32, "rounds": 2}
    found = list(peers.rows("small", Clock(1000), device="cpu", ways=("eager",), **size))
    assert [row["row"].split()[-1] for row in found] == 2 * list(peers.METHODS)
    assert all(row["relative L2"] < 1e-3 for row in found if row["precision"] == "fast")


def test_the_table_has_a_line_per_row_and_says_what_failed():
    rows = [
        {"part": "methods", "row": "gradient", "network": "resnet50", "images/s": 1234.5},
        {"part": "methods", "row": "lrp", "network": "resnet50", "failed": "ValueError: no"},
        {"part": "peers", "row": "captum, gradient", "as text": "2.00 [1.90, 2.10]"},
    ]
    found = {"device": "none", "commit": None, "ceilings": {"bf16": {"GFLOP/s": 1e5}}, "rows": rows}
    text = table(json.loads(json.dumps(found)))
    lines = text.splitlines()
    assert len([line for line in lines if line]) == 1 + 2 + len(rows)
    assert "1,234" in text and "lrp: ValueError: no" in text and lines[0].startswith("none")
