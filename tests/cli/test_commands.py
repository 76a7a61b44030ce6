"""The commands that read a store or a job."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import jaxplain as library

SWEEP = ("--set", "peppr.steps=4", "--set", "peppr.resamples=5", "--set", "peppr.groups=['overall/macro']")


@pytest.fixture
def store(jaxplain, job):
    """A finished store."""
    assert jaxplain("run", str(job)).code == 0
    return "store"


def test_status(jaxplain, store):
    answer = jaxplain("status", store)
    assert answer.code == 0
    assert "20 images in 3 shards" in answer.out
    assert "gradient      3/3 shards  finished, global maps" in answer.out
    assert "peppr           not yet" in answer.out
    assert "No image was left out." in answer.out


def test_finalize_changes_what_it_is_told(jaxplain, store):
    answer = jaxplain("finalize", store, "--sign", "positive", "--scale", "dataset_p99", "--exclude", "c")
    assert answer.code == 0, answer.err
    attributes = library.open(store).globals("gradient")["attributes"]
    assert attributes["steps"] == {"sign": "positive", "pool": "sum", "scale": "dataset_p99"}
    assert attributes["exclude"] == [2]
    jaxplain("finalize", store, "--pool", "norm")
    attributes = library.open(store).globals("gradient")["attributes"]
    assert attributes["steps"] == {"sign": "positive", "pool": "norm", "scale": "dataset_p99"}
    assert jaxplain("finalize", store, "--method", "gradeint").code == 2


def test_peppr_report_and_status_of_both(jaxplain, store, job):
    answer = jaxplain("peppr", str(job), *SWEEP)
    assert answer.code == 0, answer.err
    assert "gradient/overall/macro" in answer.out
    assert "10 random orders" in answer.out
    answer = jaxplain("report", store)
    assert answer.code == 0, answer.err
    page = (job.parent / store / "report" / "index.html").read_text()
    assert "gradient" in page
    assert "The images were not at hand" not in page
    assert "results are there" in jaxplain("status", store).out
    assert "`jaxplain peppr` makes them anew" in jaxplain("finalize", store).out


def test_peppr_by_a_trusted_store(jaxplain, store):
    answer = jaxplain("peppr", store, "--trust", *SWEEP)
    assert answer.code == 0, answer.err


def test_a_report_without_the_images(jaxplain, store, job):
    (job.parent / "images.npz").unlink()
    answer = jaxplain("report", store, "--output", "page")
    assert answer.code == 0, answer.err
    assert "The images are not at hand" in answer.err
    assert (job.parent / "page" / "index.html").exists()


def test_methods(jaxplain):
    answer = jaxplain("methods")
    assert answer.code == 0
    assert "smoothgrad" in answer.out
    assert "n_samples = " in answer.out
    assert "give    baseline" in answer.out
    assert "Args:" in jaxplain("methods", "smoothgrad").out
    assert jaxplain("methods", "smothgrad").code == 2


def test_layers_and_audit(jaxplain, job):
    changes = ("--set", "model.factory=jaxplain.models.small:small_cnn", "--set", "model.kwargs.shape=[4, 4, 1]")
    answer = jaxplain("layers", str(job), *changes)
    assert answer.code == 0, answer.err
    assert "conv3" in answer.out
    assert "1x1x32" in answer.out
    assert "conv3" in jaxplain("audit", str(job), *changes).out


def test_audit_of_a_method(jaxplain, job):
    changes = ("--set", "model.factory=jaxplain.models.small:small_cnn", "--set", "model.kwargs.shape=[4, 4, 1]")
    guided = jaxplain("audit", str(job), "--method", "guided_backprop", *changes)
    assert "3 guided" in guided.out, guided.err
    relevance = jaxplain("audit", str(job), "--method", "lrp", "--composite", "epsilon_plus", *changes)
    rows = [line.split() for line in relevance.out.splitlines()]
    assert ["conv1", "conv", "+", "add", "float32[1,2,2,16]", "z-plus"] in rows, relevance.err
    assert ["head", "dot", "+", "add", "float32[1,10]", "epsilon"] in rows
    for wrong, remedy in (
        (("--method", "gradient"), "methods with rules are"),
        (("--method", "lrp"), "--composite epsilon_plus"),
        (("--method", "lrp", "--composite", "epsilon_pluss"), "epsilon_plus"),
        (("--composite", "epsilon"), "--method"),
        (("--method", "deconvnet", "--composite", "epsilon"), "leave --composite out"),
    ):
        answer = jaxplain("audit", str(job), *wrong, *changes)
        assert answer.code == 2 and remedy in answer.err


def test_kernels(jaxplain):
    answer = jaxplain("kernels")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("cpu\n")
    rows = answer.out.split("\n\n")
    (erasing,) = (row for row in rows if row.startswith("rank_erase: "))
    assert "* xla" in erasing and "needs a TPU or an NVIDIA GPU" in erasing
    assert any("* packed" in row for row in rows if row.startswith("rank: "))
    abroad = jaxplain("kernels", "--platform", "cuda")
    assert abroad.out.startswith("cuda") and "* argsort" in abroad.out
    assert jaxplain("kernels", "--platform", "gpu").code == 2


def test_version(jaxplain):
    assert "jaxlib" in jaxplain("version").out


def test_the_origin_decides_nothing(jaxplain, store, job):
    place = job.parent / store / "job.json"
    origin = json.loads(place.read_text())
    assert origin["file"] == str(job)
    place.unlink()
    assert jaxplain("run", str(job)).code == 0
    assert place.exists()


def test_baselines_of_every_kind(jaxplain, job):
    np.save(job.parent / "grey.npy", np.full((4, 4, 1), 0.5, np.float32))
    kinds = ("0.5", "[0.5]", "grey.npy", "blur", "channel-mean", "{kind = 'noise', sigma = 0.1}")
    changes = []
    for number, kind in enumerate(kinds):
        name = f"methods.ig{number}"
        changes += [
            "--set",
            f"{name}.method=integrated_gradients",
            "--set",
            f"{name}.n_steps=2",
            "--set",
            f"{name}.baseline={kind}",
        ]
    answer = jaxplain("run", str(job), *changes)
    assert answer.code == 0, answer.err
    store = library.open("store")
    same = [store.maps(f"ig{number}")[:] for number in range(3)]
    np.testing.assert_allclose(same[1], same[0], atol=1e-3)
    np.testing.assert_allclose(same[2], same[0], atol=1e-3)
    assert np.abs(store.maps("ig4")[:] - same[0]).max() > 0.01


def test_the_process_returns_the_codes(job):
    command = [sys.executable, "-m", "jaxplain.cli"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run([*command, "version"], capture_output=True, text=True, env=environment, cwd=job.parent)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*command, "run", "no.toml"], capture_output=True, text=True, env=environment, cwd=job.parent)
    assert done.returncode == 2
    assert done.stderr == "jaxplain: no.toml: no such job file; check the path.\n"
