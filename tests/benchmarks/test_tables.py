"""The tables of the documents are those of the records."""

import pytest

from benchmarks import compile_time, tables
from benchmarks.timing import with_interval

TIMES = with_interval([1.0, 1.0, 1.25, 1.5, 1.5])
MADE = {"commit": "0123456789abcdef", "device": "cpu", "processor": "A", "versions": {"jax": "1", "jaxlib": "2"}}


@pytest.mark.parametrize("place", tables.DOCUMENTS, ids=lambda place: str(place.relative_to(tables.ROOT)))
def test_the_tables_are_up_to_date(place):
    """``python -m benchmarks.tables`` writes them."""
    text = place.read_text(encoding="utf-8")
    assert len(tables.MARK.findall(text)) == text.count("<!-- table: ") == text.count("<!-- end of table -->") > 0
    assert tables.written(text) == text


def test_only_what_stands_between_the_marks_is_written():
    text = "a\n<!-- table: overhead cpu; x -->\nold\n<!-- end of table -->\nb <!-- table -->\n"
    new = tables.written(text, lambda device: {})
    assert new == text.replace("old", "Not measured yet: `python -m benchmarks.overhead`.")
    with pytest.raises(KeyError, match="overheard"):
        tables.written(text.replace("overhead", "overheard"), lambda device: {})


def test_the_overhead_is_shown_against_its_aim():
    row = {"passes": {"gradients": 1, "forwards": 16}, "images per second": TIMES, "utilization": 0.5}
    rows = {"resnet18, smoothdiff": row | {"ratio": TIMES, "ratio, without rules": with_interval([0.5] * 6)}}
    found = {**MADE, "changed": True, "batch": 8, "size": 224, "rows": rows}
    lines = tables.table("overhead", {"overhead": found}).splitlines()
    assert lines[2] == ("| resnet18, smoothdiff | 1g+16f | 1.25 | 1.25 [1.00, 1.50] met | 0.50 [0.50, 0.50] | 50% |")
    assert lines[1] == "|---|--:|--:|--:|--:|--:|"
    assert lines[-1] == (
        "`python -m benchmarks.overhead`; commit `0123456789ab` and changes; A, cpu; jax 1, jaxlib 2, batch 8, size 224"
    )
    assert "1.25 (resnet18, smoothdiff)" in tables.table("measured", {"overhead": found})


def test_compile_times_are_shown_cold_and_warm():
    seconds = {"trace": 1.0, "lower": 0.5, "compile": 2.5}
    kept = {"seconds": seconds, "cache": "miss", "peak bytes": 4e8}
    row = {"cold": compile_time.together([kept]), "warm": compile_time.together([kept])}
    found = {**MADE, "network": "resnet50", "rows": {"score_cam": row}}
    assert "| score_cam | 4.0 | 1.5 |  | 4.0 | 400 |" in tables.table("compile_time", {"compile_time": found})
    assert "4.0 s; 4.0 s" in tables.table("measured", {"compile_time": found})


def test_peers_are_shown_with_the_agreement_of_the_maps():
    cell = {"seconds": {"jaxplain": TIMES, "peer": TIMES}, "ratio": TIMES, "aim": 2.0}
    cells = {
        "captum/gradient": cell | {"agreement": {"relative_l2": 1e-6, "agrees": True}},
        "shap/smoothgrad": cell | {"agreement": {"relative_l2": 0.5, "agrees": None}},
    }
    found = {**MADE, "peers": {"captum": "0.9"}, "cells": {"resnet18": cells, "vgg16": {"captum/gradient": cell}}}
    short = tables.table("peers", {"against": found})
    assert "| captum/gradient | 1.25 | 1.25 |\n| shap/smoothgrad | 1.25 |  |" in short and "captum 0.9" in short
    del found["cells"]["vgg16"]
    long = tables.table("against", {"against": found})
    assert "| resnet18 | captum/gradient | 1.250 | 1.250 | 1.25 [1.00, 1.50] MISSED | 1.0e-6 |" in long
    assert "5.0e-1 (differs by definition)" in long
