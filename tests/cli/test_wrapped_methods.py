"""Jobs with wrapped methods: a table of the wrapper's knobs, stored, hashed and compared as any others."""

import numpy as np
import pytest

import jaxplain as library
from jaxplain import InputError
from jaxplain.cli.jobfile import load_job
from tests.cli.conftest import refused

FINE = """\
[methods.fine]
method = "integrated_gradients"
baseline = 0.0
n_steps = 2
smooth = { n_samples = 3, sigma = 0.1, statistic = "std" }
"""


@pytest.fixture
def wrapped(job):
    job.write_text(job.read_text().replace("[methods.gradient]\n", FINE))
    return job


def test_a_table_wraps_the_method(wrapped):
    (method,) = load_job(wrapped).methods
    assert (method.name, method.method) == ("fine", "smooth(integrated_gradients)")
    assert method.keywords["smooth.n_samples"] == 3
    (method,) = load_job(wrapped, ["methods.fine.augment.flips=[-1]", "methods.fine.smooth.sigma=0.2"]).methods
    assert method.method == "augment(smooth(integrated_gradients))" and method.keywords["smooth.sigma"] == 0.2
    (method,) = load_job(wrapped, ["methods.fine.method=smooth(augment(integrated_gradients))"]).methods
    assert method.method == "smooth(augment(integrated_gradients))"


def test_a_run_stores_maps_errors_and_settings(jaxplain, wrapped):
    answer = jaxplain("run", str(wrapped))
    assert answer.code == 0, answer.err
    store = library.open(wrapped.parent / "store")
    assert store.complete("fine")
    assert np.isfinite(store.rows("stderr/fine")).all()
    spec = store.manifest["methods"]["fine"]
    assert spec["method"] == "smooth(integrated_gradients)"
    assert spec["smooth.sigma"] == 0.1 and spec["smooth.outside"] == 1.0 and spec["n_steps"] == 2
    answer = jaxplain("run", str(wrapped), "--set", "methods.fine.smooth.n_samples=4")
    refused(answer, "methods.fine.smooth.n_samples: 3 in the store, 4 in the job")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("methods.fine.smooth.n_sampels=4", "unknown keyword 'smooth.n_sampels'; did you mean 'smooth.n_samples'"),
        ("methods.fine.smooth.sigma=-1", "smooth.sigma = -1 lies outside"),
        ("methods.fine.method=smoth(gradient)", "unknown wrapper 'smoth'; did you mean 'smooth'"),
    ],
)
def test_what_does_not_fit_is_named(jaxplain, wrapped, change, words):
    refused(jaxplain("run", str(wrapped), "--set", change), "[methods.fine]", words)


def test_the_wrappers_are_listed_and_described(jaxplain):
    answer = jaxplain("methods")
    assert "Wrappers of any method, as tables of keys: smooth = {n_samples = 8}" in answer.out
    assert "AdaptGrad" in jaxplain("methods", "smooth").out
    assert jaxplain("methods", "smooth(lrp)").code == 0


def test_a_wrapped_method_is_audited_as_the_method(jaxplain, job):
    plain = jaxplain("audit", str(job), "--method", "guided_backprop")
    assert jaxplain("audit", str(job), "--method", "smooth(guided_backprop)").out == plain.out


def test_a_table_needs_a_wrapper(job):
    with pytest.raises(InputError, match="unknown method 'smooth'"):
        load_job(job, ["methods.smooth.n_samples=3"])
