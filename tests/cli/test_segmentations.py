"""Stacks of segment maps in a job: grids of several scales, or a file."""

import numpy as np
import pytest

import jaxplain as library
from jaxplain.core.segments import grid_segments
from tests.cli.conftest import refused


@pytest.fixture
def xrai(job):
    """The job with XRAI."""
    job.write_text(job.read_text().replace("[methods.gradient]", "[methods.xrai]\nlow = 0.0\nhigh = 1.0\nn_steps = 2"))
    return job


def setting(value):
    return ("--set", f"methods.xrai.segmentations={value}")


def test_grids_and_the_same_maps_from_a_file(jaxplain, xrai):
    np.save(xrai.parent / "maps.npy", np.stack([grid_segments((4, 4), cells) for cells in ((1, 2), (4, 4))]))
    answer = jaxplain("run", str(xrai), *setting("{grids = [[1, 2], [4, 4]]}"))
    assert answer.code == 0, answer.err
    answer = jaxplain("run", str(xrai), *setting("maps.npy"), "--set", "output=other")
    assert answer.code == 0, answer.err
    first, second = (library.open(xrai.parent / name).maps("xrai")[:] for name in ("store", "other"))
    assert first.shape == (20, 4, 4) and np.abs(first).max() > 0
    np.testing.assert_array_equal(first, second)
    refused(jaxplain("run", str(xrai), *setting("{grids = [[2, 2]]}")), "holds another job", "segmentations.grids")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("none.npy", ["none.npy does not exist; check the path"]),
        ("{grids = [[5, 5]]}", ["[methods.xrai] segmentations: ", "(5, 5) cells do not fit"]),
        ("{grid = [2, 2]}", ["unknown segmenter 'grid'; did you mean 'grids'?"]),
        ("stacks.npy", ["there are maps for 3 images, and the source has 20"]),
        ("3", ["segmentations = 3; write {grids"]),
    ],
)
def test_what_is_no_stack_of_maps(jaxplain, xrai, value, parts):
    np.save(xrai.parent / "stacks.npy", np.zeros((3, 1, 4, 4), int))
    refused(jaxplain("run", str(xrai), *setting(value)), *parts)


def test_maps_that_are_missing(jaxplain, xrai):
    refused(jaxplain("run", str(xrai)), "xrai: segmentations is missing", "write {grids = [[4, 4], [8, 8]]}")
