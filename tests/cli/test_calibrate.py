"""Calibrated nodes: made from a job, named by the job, part of what the job is."""

import json

import numpy as np
import pytest

import jaxplain as library
from jaxplain.core.nodes import Nodes
from jaxplain.methods import integrated_gradients
from tests.cli.conftest import refused

CURVED = ("--set", "model.factory=jaxplain.models.small:small_cnn", "--set", "model.kwargs.shape=[4, 4, 1]")
FILE = "integrated_gradients.nodes.json"


@pytest.fixture
def ig(job):
    """The job with integrated gradients."""
    job.write_text(job.read_text().replace("[methods.gradient]", "[methods.integrated_gradients]\nbaseline = 0.0"))
    return job


def nodes_file(folder, positions=(0.25, 0.75), weights=(0.5, 0.5)):
    (folder / "n.json").write_text(json.dumps({"positions": list(positions), "weights": list(weights)}))
    return ("--set", "methods.integrated_gradients.nodes=n.json")


def test_calibrate_writes_nodes_that_the_job_then_names(jaxplain, ig):
    answer = jaxplain("calibrate", str(ig), "--n-steps", "4", "--images", "3", "--points", "16", *CURVED)
    assert answer.code == 0, answer.err
    assert "4 nodes for integrated_gradients, chosen on 3 images of 16 gradients each" in answer.out
    assert f'write nodes = "{FILE}" in [methods.integrated_gradients]' in answer.out
    written = json.loads((ig.parent / FILE).read_text())
    assert len(written["positions"]) == len(written["weights"]) == 4
    assert (written["measured"], written["checked"], written["points"]) == (3, 3, 16)
    assert set(written["relative_errors"]) == {"calibrated", "gauss_legendre", "midpoint", "non_uniform"}
    assert written["relative_errors"]["calibrated"] < 1
    answer = jaxplain("run", str(ig), *CURVED, "--set", f"methods.integrated_gradients.nodes={FILE}")
    assert answer.code == 0, answer.err
    again = jaxplain(
        "calibrate", str(ig), *CURVED, "--set", f"methods.integrated_gradients.nodes={FILE}", "--to", "b.json"
    )
    assert again.code == 0, again.err
    assert len(json.loads((ig.parent / "b.json").read_text())["positions"]) == 32


def test_the_run_uses_the_nodes(jaxplain, ig):
    """One node at the image gives the gradient there times the image."""
    change = nodes_file(ig.parent, (1.0,), (1.0,))
    settings = ("--set", "plan.store=float32", "--set", "target.kind=logit", "--set", "target.index=0")
    assert jaxplain("run", str(ig), *change, *settings, *CURVED).code == 0
    with np.load(ig.parent / "images.npz") as images:
        x = images["images"][0] / np.float32(255)
    model = library.models.small.small_cnn((4, 4, 1))
    want = integrated_gradients(
        library.Score(model, library.Logit(0)), x, baseline=0 * x, nodes=Nodes(np.ones(1), np.ones(1))
    )
    store = library.open(ig.parent / "store")
    np.testing.assert_allclose(store.maps("integrated_gradients")[0], want, rtol=1e-3, atol=1e-5)


def test_other_nodes_are_another_job(jaxplain, ig):
    assert jaxplain("run", str(ig), *nodes_file(ig.parent)).code == 0
    assert "Nothing to do" in jaxplain("run", str(ig), *nodes_file(ig.parent)).out
    answer = jaxplain("run", str(ig), *nodes_file(ig.parent, (0.25, 0.75), (0.25, 0.75)))
    refused(answer, "holds another job", "methods.integrated_gradients.nodes.weights")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, ["[methods.integrated_gradients] nodes: ", "n.json is no file; make it with `jaxplain calibrate`"]),
        ("{", ["n.json holds no lists of numbers named positions and weights"]),
        ('{"positions": [0.5]}', ["n.json holds no lists of numbers"]),
        ('{"positions": [0.5], "weights": ["a"]}', ["n.json holds no lists of numbers"]),
        ('{"positions": [0.2, 0.8], "weights": [1.0]}', ["positions of shape (2,) and weights of shape (1,)"]),
        ('{"positions": [0.2, 1.8], "weights": [0.5, 0.5]}', ["give positions from 0 to 1"]),
        ('{"positions": [0.2, 0.8], "weights": [0.5, 0.6]}', ["sum to 1.1; divide them by their sum"]),
    ],
)
def test_a_file_of_nodes_that_is_none(jaxplain, ig, text, parts):
    if text is not None:
        (ig.parent / "n.json").write_text(text)
    refused(jaxplain("run", str(ig), "--set", "methods.integrated_gradients.nodes=n.json"), *parts)
    assert not (ig.parent / "store" / "jaxplain.json").exists()


def test_nodes_and_a_number_of_steps_that_contradict_each_other(jaxplain, ig):
    change = (*nodes_file(ig.parent), "--set", "methods.integrated_gradients.n_steps=3")
    refused(jaxplain("run", str(ig), *change), "n_steps = 3, but nodes holds 2; leave n_steps out")
    refused(jaxplain("run", str(ig), "--set", "methods.integrated_gradients.nodes=[0.5]"), "write the path of a file")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--method", "gradient"), ["[methods.gradient] gradient walks no path with nodes", "integrated_gradients"]),
        (("--method", "ig"), ["[methods]: unknown name 'ig'"]),
        (("--set", "methods.other.method=integrated_gradients", "--set", "methods.other.baseline=1.0"), ["--method"]),
        (("--n-steps", "9", "--points", "16"), ["9 nodes of 16 points", "twice as many points as nodes"]),
        (("--images", "0"), ["at least one image"]),
        (("--set", "source.limit=1"), ["at least 2 images"]),
    ],
)
def test_what_cannot_be_calibrated(jaxplain, ig, words, parts):
    refused(jaxplain("calibrate", str(ig), "--set", "methods.gradient={}", *words), *parts)
    assert not (ig.parent / FILE).exists()


def test_a_job_without_paths(jaxplain, job):
    refused(jaxplain("calibrate", str(job)), "[methods] has 0 methods with nodes", "[methods.integrated_gradients]")
