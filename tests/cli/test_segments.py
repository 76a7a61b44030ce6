"""Segments in a job file: a grid, or a file of whole numbers."""

import json

import numpy as np
import pytest

import jaxplain as library
from tests.cli.conftest import refused

SHAPLEY = ["methods.shapley_exact.baseline=0"]


def setting(*changes):
    return [word for change in (*SHAPLEY, *changes) for word in ("--set", change)]


def test_a_grid_and_the_same_map_from_a_file_give_the_same_maps(jaxplain, job):
    np.save(job.parent / "cells.npy", np.repeat(np.repeat(np.arange(4).reshape(2, 2), 2, 0), 2, 1))
    for output, segments in (("grid", "{grid = [2, 2]}"), ("file", "'cells.npy'")):
        answer = jaxplain("run", str(job), *setting(f"output={output}", f"methods.shapley_exact.segments={segments}"))
        assert answer.code == 0, answer.err
    maps = [library.open(job.parent / output).maps("shapley_exact")[:] for output in ("grid", "file")]
    assert np.abs(maps[0]).max() > 0
    np.testing.assert_array_equal(maps[0], maps[1])
    spec = json.loads((job.parent / "grid" / "jaxplain.json").read_text())
    assert '"segments": {"grid": [2, 2]}' in json.dumps(spec)


def test_another_file_is_another_job(jaxplain, job):
    for number, labels in enumerate((np.arange(4), np.arange(4)[::-1])):
        np.save(job.parent / "cells.npy", np.repeat(labels[:, None], 4, 1))
        answer = jaxplain("run", str(job), *setting("methods.shapley_exact.segments='cells.npy'"))
        assert number or answer.code == 0, answer.err
    refused(answer, "holds another job", "methods.shapley_exact.segments")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("{grid = [2, 9]}", ["segments: grid_segments: (2, 9) cells do not fit axes of (4, 4)"]),
        ("{grid = [2.5, 2]}", ["segments.grid = [2.5, 2]; write one number of cells for each axis"]),
        ("{cells = [2, 2]}", ["write {grid = [8, 8]} or the path of a .npy file"]),
        ("3", ["segments = 3; write {grid = [8, 8]}"]),
        ("'none.npy'", ["none.npy does not exist; check the path."]),
        ("'job.npy'", ["job.npy is no .npy array"]),
        ("'gaps.npy'", ["[methods.shapley_exact] segments: segments must be numbered 0 to n - 1 without gaps"]),
        ("{grid = [4, 4]}", ["16 segments have 2^16 coalitions", "kernel_shap, shapley_sampling or partition_shap"]),
    ],
)
def test_what_is_no_segments_is_refused(jaxplain, job, value, parts):
    (job.parent / "job.npy").write_text("no array")
    np.save(job.parent / "gaps.npy", np.full((4, 4), 2))
    refused(jaxplain("run", str(job), *setting(f"methods.shapley_exact.segments={value}")), *parts)


def test_segments_that_are_missing(jaxplain, job):
    refused(jaxplain("run", str(job), *setting()), "segments is missing and has no default; write {grid = [8, 8]}")
