"""The dispatcher: who is chosen, who refuses, what a program holds, and what is told about it."""

import jax
import jax.numpy as jnp
import pytest

import jaxplain_kernels
from jaxplain_kernels.choice import PLATFORMS, Form, Op, Winner, operations, present


def doubling(*winners: Winner) -> Op:
    """An operation of a plain form, one that also serves everywhere, and one for GPUs and short arrays."""

    def refusal(length, platform):
        reasons = ["needs a GPU"] * (platform != "cuda") + ["takes up to 8"] * (length > 8)
        return "; ".join(reasons)

    return Op(
        "double",
        (
            Form("plain", lambda length, x: x + x),
            Form("product", lambda length, x: 2 * x),
            Form("kernel", lambda length, x: 2.5 * x, refusal),  # another value, so that tests see who served
        ),
        winners,
        lambda: {"short": 4},
    )


def test_without_a_figure_the_plain_form_serves():
    assert doubling().choose(4).name == "plain"
    assert doubling(Winner("product", "3 x", ("tpu",))).choose(4, platform="cpu").name == "plain"


def test_the_first_row_that_holds_and_whose_form_serves_wins():
    op = doubling(Winner("kernel", "5 x"), Winner("product", "2 x", where=lambda length: length > 2))
    assert op.choose(4, platform="cuda").name == "kernel"
    assert op.choose(9, platform="cuda").name == "product"
    assert op.choose(4, platform="cpu").name == "product"
    assert op.choose(2, platform="cpu").name == "plain"


def test_a_named_form_serves_or_says_why_not():
    op = doubling()
    assert float(op.run(4, jnp.ones(()), implementation="product")) == 2
    with pytest.raises(NotImplementedError, match=r"double.*'kernel'.*cpu: needs a GPU; takes up to 8.*'plain', 'prod"):
        op.run(9, jnp.ones(()), implementation="kernel")
    with pytest.raises(ValueError, match=r"double.*'kernle'.*'plain', 'product', 'kernel'"):
        op.run(9, jnp.ones(()), implementation="kernle")


def test_a_program_for_a_gpu_runs_on_its_host_too(monkeypatch):
    op = doubling(Winner("kernel", "5 x", ("cuda",)))
    monkeypatch.setattr("jaxplain_kernels.choice.present", lambda: "cuda")

    @jax.jit
    def run(x):
        return op.run(4, x)

    assert float(run(jnp.ones(()))) == 2  # compiled for a CPU
    lowered = run.trace(jnp.ones(())).lower(lowering_platforms=("cuda",)).as_text()
    assert "2.5" in lowered
    assert "2.5" not in run.lower(jnp.ones(())).as_text()


def test_the_explanation_names_figure_and_reasons():
    op = doubling(Winner("product", "2 x (results)"))
    assert [(row.form, row.chosen, row.reason) for row in op.explain(4, platform="cpu")] == [
        ("plain", False, "no measured gain over product"),
        ("product", True, "2 x (results)"),
        ("kernel", False, "needs a GPU"),
    ]


def test_every_operation_has_cases_and_one_chosen_form_for_each_on_every_platform():
    assert present() == "cpu"
    assert {op.name for op in operations()} >= {"convolution", "pool"}
    for op in operations():
        assert op.typical()
        assert {winner.form for winner in op.winners} <= {form.name for form in op.forms}
        assert not any(op.forms[0].refusal(spec, place) for spec in op.typical().values() for place in PLATFORMS)
    for platform in PLATFORMS:
        rows = jaxplain_kernels.choices(platform)
        chosen = [row for row in rows if row.chosen]
        assert len({(row.op, row.case) for row in rows}) == len(chosen)
        assert all(row.reason for row in rows)
