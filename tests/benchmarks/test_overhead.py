"""The workloads and what they are measured in, run small."""

import json

import jax
import jax.numpy as jnp
import pytest

from benchmarks import overhead
from benchmarks.ceiling import ceiling
from benchmarks.record import keep
from benchmarks.workloads import CASES, USUAL, Workload, forwards, gradients, method_program, network, spatial_layer
from jaxplain._errors import InputError
from jaxplain._registry import METHODS
from jaxplain.engine.context import resolved

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


@pytest.mark.parametrize("case", ["kernel_shap", "shapley_sampling", "partition_shap", "shapley_exact", "xrai"])
def test_a_method_with_loops_evaluates_as_often_as_its_case_says(case):
    """XLA counts the body of a loop once, so calls are counted instead; one at a time, where nothing is padded."""
    workload, calls = Workload("", case).small(), []
    (_, x, _, key, arguments), program = workload.call(network("small_cnn", 16))
    context = {name: resolved(value, x[0], key) for name, value in arguments.context.items()}
    knobs = dict(program.with_chunk(1).statics) | arguments.knobs | ({} if key is None else {"key": key})

    def f(x):
        jax.debug.callback(lambda _: calls.append(1), x[0, 0, 0])
        return jnp.sum(x * x)

    jax.jit(lambda x: program.entry(f, x, **context, **knobs))(x[0]).block_until_ready()
    jax.effects_barrier()
    assert len(calls) == sum(workload.passes)


def test_all_other_cases_can_be_measured_but_those_that_need_another_network(model):
    left = set()
    for case in CASES.keys() - set(COUNTED):
        try:
            arguments, program = Workload("", case).small().call(model)
            method_program.trace(*arguments, program=program)
        except InputError:
            left.add(case)
    assert left == {"attention_rollout", "gradient_rollout"}


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


def test_rows_measured_before_stay_where_they_were_made_with_the_same_sizes(tmp_path):
    settings = {"batch": 4, "size": 224, "samples": 4, "precision": "fast"}
    assert overhead.rows_before(tmp_path, settings) == {}
    keep("overhead", settings | {"rows": {"resnet18, gradient": 1}}, tmp_path)
    assert overhead.rows_before(tmp_path, settings) == {"resnet18, gradient": 1}
    with pytest.raises(SystemExit, match="leave --add out"):
        overhead.rows_before(tmp_path, settings | {"batch": 8})
