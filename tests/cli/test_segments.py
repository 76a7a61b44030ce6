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
        ("{cells = [2, 2]}", ["unknown segmenter 'cells'", "known: felzenszwalb, grid, quickshift, slic"]),
        ("{slik = {}, most = 4}", ["unknown segmenter 'slik'; did you mean 'slic'?"]),
        ("{most = 4}", ["name one segmenter: slic, quickshift, felzenszwalb"]),
        ("{slic = {}}", ["segments: most is missing; write the largest number of segments of an image"]),
        ("{slic = {}, most = 0}", ["segments: most = 0 is no number from 1 on"]),
        ("{slic = 5, most = 4}", ["segments.slic = 5; write its settings as a table, or {} for the defaults"]),
        ("{slic = {n_segment = 5}, most = 4}", ["segments.slic: unknown key 'n_segment'; did you mean 'n_segments'?"]),
        ("{slic = {n_segments = 5.5}, most = 4}", ["slic.n_segments = 5.5; write a whole number, such as 100"]),
        ("'few.npy'", ["segments: there are maps for 3 images, and the source has 20; save one for each"]),
        ("'negative.npy'", ["those of image 1 have negative numbers such as -1"]),
        ("'floats.npy'", ["segments: segments must be integers, got float64"]),
        ("'wide.npy'", ["segments of shape (20, 5, 4) do not fit an example of shape (4, 4, 1)"]),
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
    np.save(job.parent / "few.npy", np.zeros((3, 4, 4), int))
    np.save(job.parent / "negative.npy", np.zeros((20, 4, 4), int) - (np.arange(20) == 1)[:, None, None])
    np.save(job.parent / "floats.npy", np.zeros((20, 4, 4)))
    np.save(job.parent / "wide.npy", np.zeros((20, 5, 4), int))
    refused(jaxplain("run", str(job), *setting(f"methods.shapley_exact.segments={value}")), *parts)


def test_maps_of_a_file_belong_to_images_by_their_position_and_another_file_is_another_job(jaxplain, job):
    rows, columns = np.indices((4, 4))
    np.save(job.parent / "maps.npy", np.stack([rows // 2 if row % 2 else columns for row in range(20)]))
    answer = jaxplain("run", str(job), *setting("methods.shapley_exact.segments='maps.npy'"))
    assert answer.code == 0, answer.err
    maps = library.open(job.parent / "store").maps("shapley_exact")[:]
    assert (maps[0::2] == maps[0::2, :1]).all() and (maps[1::2] == maps[1::2, :, :1]).all()
    assert (np.ptp(maps[0::2], axis=2) > 0).all() and (maps[1::2, 0] == maps[1::2, 1]).all()
    np.save(job.parent / "maps.npy", np.stack([rows] * 20))
    answer = jaxplain("run", str(job), *setting("methods.shapley_exact.segments='maps.npy'"))
    refused(answer, "holds another job", "methods.shapley_exact.segments")


def test_each_image_is_cut_by_its_own_pixels_and_more_segments_than_said_are_refused(jaxplain, job):
    pytest.importorskip("skimage")
    cut = "methods.shapley_exact.segments={{felzenszwalb = {{scale = 1, min_size = 2}}, most = {}}}"
    refused(
        jaxplain("run", str(job), *setting(cut.format(1))),
        "[methods.shapley_exact] segments of image 0: it is cut into",
        "more than the 1 that were said to be the most; allow more",
    )
    assert not (job.parent / "store" / "jaxplain.json").exists()
    answer = jaxplain("run", str(job), *setting(cut.format(8)))
    assert answer.code == 0, answer.err
    spec = json.loads((job.parent / "store" / "jaxplain.json").read_text())["methods"]["shapley_exact"]["segments"]
    assert spec["felzenszwalb"] == {"scale": 1.0, "sigma": 0.5, "min_size": 2} and spec["most"] == 8
    wrong = "methods.shapley_exact.segments={slic = {n_segments = 0}, most = 8}"
    refused(jaxplain("run", str(job), *setting(wrong)), "segments.slic: scikit-image refuses these settings")


def test_segments_that_are_missing(jaxplain, job):
    refused(jaxplain("run", str(job), *setting()), "segments is missing and has no default; write {grid = [8, 8]}")
