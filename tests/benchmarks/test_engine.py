"""The engine's benchmark and the kill campaign, small: they run, and what they claim holds."""

import numpy as np
import pytest

from benchmarks.demo_job import open_images, write_images
from benchmarks.engine import bare_method, whole_run
from benchmarks.kill import campaign, passed


def test_the_run_and_the_bare_method_do_the_same_work(tmp_path):
    source = open_images(write_images(tmp_path, 150))
    found = whole_run(source, tmp_path / "store", None)
    assert found["plan"].batch == 128
    assert found["explaining"] > 0 < found["aggregating"]
    assert bare_method(source.read(np.arange(150)).image, found["plan"]) > 0


@pytest.mark.optimized
def test_a_killed_run_ends_with_the_same_bytes():
    """Three SIGKILLs at random moments; ``python -m benchmarks.kill`` does twenty."""
    found = campaign(kills=3, n=2000, seed=1)
    assert passed(found), found
    assert found["files"] > 20 and found["markers"] == 20
