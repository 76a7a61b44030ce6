"""Jobs that sample until a tolerance is met."""

import pytest

import jaxplain as library
from tests.cli.conftest import refused

SMOOTH = ("--set", "methods.sg.method=smoothgrad", "--set", "methods.sg.n_samples=4")
CURVED = ("--set", "model.factory=tests.cli.networks:curved")


def test_a_job_says_tolerance_and_budget_and_status_shows_the_share_converged(jaxplain, job):
    answer = jaxplain("run", str(job), *SMOOTH, *CURVED, "--set", "tolerance=0.2", "--set", "budget=4096")
    assert answer.code == 0, answer.err
    store = library.open(job.parent / "store")
    assert store.rows("converged/sg").all()
    assert (store.rows("stderr/sg") <= 0.2).all()
    assert set(store.rows("evaluations/sg").tolist()) <= {4 * 2**k for k in range(11)}
    spec = store.manifest["methods"]
    assert (spec["sg"]["tolerance"], spec["sg"]["budget"]) == (0.2, 4096)
    assert "tolerance" not in spec["gradient"]
    shown = jaxplain("status", "store").out
    assert "global maps, 100.0% converged to 0.2, " in shown
    assert "evaluations in the median" in shown


@pytest.mark.filterwarnings("always:run")
def test_a_budget_that_does_not_suffice_is_told(jaxplain, job):
    small = ("--set", "methods.sg.tolerance=0.0001", "--set", "methods.sg.budget=8")
    answer = jaxplain("run", str(job), *SMOOTH, *CURVED, *small)
    assert answer.code == 0, answer.err
    assert "warning: run: 20 of 20 images of 'sg' stay above the tolerance 0.0001, with errors up to" in answer.err
    assert answer.err.count("stay above the tolerance") == 1
    assert "0.0% converged to 0.0001, 8 evaluations in the median" in jaxplain("status", "store").out


def test_another_tolerance_is_another_job(jaxplain, job):
    jaxplain("run", str(job), *SMOOTH, "--set", "tolerance=0.2")
    answer = jaxplain("run", str(job), *SMOOTH, "--set", "tolerance=0.1")
    refused(answer, "methods.sg.tolerance: 0.2 in the store, 0.1 in the job")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["tolerance=0.1"], "no method of the job goes on until a tolerance is met"),
        (["methods.gradient.tolerance=0.1"], "gradient: it takes no tolerance; these methods do:"),
        (["methods.sg.method=smoothgrad", "tolerance=-1"], "tolerance = -1.0 must be a positive number"),
        (["methods.sg.method=smoothgrad", "budget=10"], "budget = 10 has no meaning without a tolerance"),
        (["methods.sg.method=smoothgrad", "tolerance=0.1", "budget=10"], "the first round takes 50 samples"),
        (["methods.sg.method=smoothgrad", "methods.sg.tolerance=small"], "methods.sg.tolerance = 'small'; expected"),
        (
            [
                "methods.ig.method=integrated_gradients",
                "methods.ig.baseline=0",
                "methods.ig.rule=left",
                "tolerance=0.1",
            ],
            "integrated_gradients: rule cannot be chosen together with a tolerance",
        ),
    ],
)
def test_what_cannot_be_is_refused(jaxplain, job, changes, words):
    refused(jaxplain("run", str(job), *(word for change in changes for word in ("--set", change))), words)
