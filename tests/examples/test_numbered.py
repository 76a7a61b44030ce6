"""The numbered examples, each in a process of its own and an empty folder, with the promotion that JAX defaults to."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import jaxplain
from tests.sources import ROOT

EXAMPLES = sorted(ROOT.glob("examples/[0-9]*.py"))


@pytest.fixture
def run_example(tmp_path):
    """Run the example with a number; returns what it printed. Its files are in the test's folder."""

    def call(number: str, *words: str) -> str:
        (path,) = (path for path in EXAMPLES if path.name.startswith(f"{number}_"))
        done = subprocess.run(
            [sys.executable, str(path), *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_every_example_has_a_test():
    assert [path.name[:2] for path in EXAMPLES] == ["01", "02", "03", "04", "05", "06"]


def test_01_explain_arrays(run_example, tmp_path):
    out = run_example("01")
    assert out.count("maps (4, 24, 24, 1)") == 4
    assert out.count("100% of the first one inside its disc") == 3  # windows of 3x3 reach beyond the disc
    with Image.open(tmp_path / "runs" / "01_explain_arrays.png") as picture:
        assert min(picture.size) > 400


@pytest.mark.parametrize("number", ["02", "03"])
def test_right_for_the_right_reasons(run_example, number):
    """The initial weights, the batches and the sets have fixed seeds; a device's rounding cannot move shares by 0.1."""
    out = run_example(number)
    accuracy = [float(value) for value in re.findall(r"accuracy ([\d.]+)", out)]
    corners = [float(value) for value in re.findall(r"corners ([\d.]+)", out)]
    middle = [float(value) for value in re.findall(r"middle ([\d.]+)", out)]
    assert len(accuracy) == len(corners) == len(middle) == 2
    assert min(accuracy) >= 0.98
    assert corners[0] >= 0.9 and middle[0] <= 0.1
    assert corners[1] <= 0.1 and middle[1] >= 0.9
    assert "compiled steps: 1" in out


def test_04_own_method(run_example):
    out = run_example("04")
    assert "checked: promises, axioms, closed form" in out
    assert "registered, by name: (6, 12, 10, 2)" in out
    assert "plain, under jit and vmap: (6, 12, 10, 2)" in out


def test_05_run_a_job(run_example, tmp_path):
    out = run_example("05", "job")
    assert "explained 166 of 166 images by gradient, fine" in out
    assert len(re.findall(r"label/\d: .* inside its disc: True", out)) == 3
    store = jaxplain.open(tmp_path / "job" / "store")
    assert store.complete("fine") and np.isfinite(store.maps("gradient")[:]).all()
    assert "explained 0 of 166" in run_example("05", "job")


def test_06_relevance(run_example):
    out = run_example("06")
    (score,) = re.findall(r"^score ([+-][\d.]+)", out, re.M)
    assert re.findall(r"^lrp.* sums to ([+-][\d.]+)", out, re.M) == [score] * 4
    assert re.search(r"^conv3 +conv \+ add .* gamma$", out, re.M) and re.search(r"^conv2 .* z-plus$", out, re.M)
    ((total, change),) = re.findall(r"^deeplift sums to (\S+); .* is (\S+)$", out, re.M)
    assert total == change
