"""The workloads and what they are measured in, run small."""

import json

import pytest

from benchmarks import overhead
from benchmarks.ceiling import ceiling
from benchmarks.workloads import CASES, USUAL, Workload, forwards, gradients, method_program, network, spatial_layer
from jaxplain._registry import METHODS

# The first layer of the small network, whose input may be negative, is too large a part of it for z-plus.
COUNTED = sorted({*USUAL, "deep_shap", "guided_grad_cam", "xgrad_cam", "excitation_backprop"} - {"lrp, epsilon_plus"})


@pytest.fixture(scope="module")
def model():
    return network("small_cnn", 16)


@pytest.fixture(scope="module")
def operations(model):
    """Operations of the bare passes by XLA's count."""
    workload = Workload("", "gradient").small()
    score, x = workload.score(model), workload.images()
    bare = gradients.lower(score, x, fast=False), forwards.lower(score, x)
    return [program.cost_analysis()["flops"] for program in bare]


def test_every_method_has_a_case():
    assert {case.method for case in CASES.values()} == set(METHODS)
    assert set(USUAL) <= set(CASES)


@pytest.mark.parametrize("case", COUNTED)
def test_a_method_takes_the_passes_that_its_case_says(case, model, operations):
    workload = Workload("", case).small()
    arguments, program = workload.call(model)
    whole = method_program.lower(*arguments, program=program).cost_analysis()["flops"]
    want = sum(number * one for number, one in zip(workload.passes, operations, strict=True))
    assert 0.85 < whole / want < 1.15  # what is left is the method's own arithmetic, and layers that it skips


def test_the_layer_of_cams_is_the_last_with_space(model):
    assert spatial_layer(model, (16, 16, 3)) == "relu@3"


def test_a_run_tells_what_it_found_and_what_does_not_fit():
    lines: list[str] = []
    cases = ("grad_cam", "smoothgrad", "attention_rollout", "score_cam")
    found = overhead.run(["small_cnn"], cases, shape=Workload.small, pairs=2, tell=lines.append)
    assert list(found["rows"]) == ["small_cnn, grad_cam", "small_cnn, smoothgrad"]
    row = json.loads(json.dumps(found, allow_nan=False))["rows"]["small_cnn, smoothgrad"]
    assert row["passes"] == {"gradients": 4, "forwards": 0} and row["utilization"] > 0
    one, whole = (row[f"seconds, {name}"]["values"] for name in ("gradient with rules", "method"))
    assert row["ratio"]["values"] == pytest.approx([4 * a / b for a, b in zip(one, whole, strict=True)], rel=1e-3)
    fits, out = lines[1:3], lines[3:]
    assert all(line.endswith(("met", "MISSED")) for line in fits)
    assert len(out) == 2 and all("left out: " in line for line in out)


def test_the_ceiling_is_the_best_size():
    found = ceiling("float32", sizes=(8, 256), rounds=2)
    assert found["size"] == 256 and found["GFLOP/s"] > 0.1
