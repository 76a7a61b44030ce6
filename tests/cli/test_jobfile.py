"""The job file: every key known, every value of its type, paths from its own folder."""

import pytest

from jaxplain import InputError
from jaxplain.cli.jobfile import load_job
from jaxplain.cli.overrides import override
from jaxplain.core.maps import MapSteps


def test_defaults_and_values(job):
    file = load_job(job)
    assert file.folder == job.parent
    assert (file.target.kind, file.target.of, file.seed, file.max_bad) == ("predicted", "logit", 0, None)
    assert file.aggregate.steps == MapSteps("absolute", "sum", "max")
    assert file.labels.names == ("a", "b", "c")
    assert file.plan.batch == 4
    assert [method.name for method in file.methods] == ["gradient"]


def test_overrides_reach_every_kind_of_value(job):
    changes = [
        "plan.batch=2",
        "target.kind=label",
        "methods.fine.method=smoothgrad",
        "methods.fine.sigma=1",
        "input.mean=[1]",
    ]
    file = load_job(job, changes)
    assert (file.plan.batch, file.target.kind, file.input.mean) == (2, "label", (1.0,))
    assert file.methods[1].method == "smoothgrad"
    assert file.methods[1].keywords == {"sigma": 1}


def test_overriding_leaves_the_table_alone():
    table = {"plan": {"batch": 1}}
    assert override(table, ["plan.batch=2"]) == {"plan": {"batch": 2}}
    assert table == {"plan": {"batch": 1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("plan.bacth=1", "job.toml: unknown key in [plan] 'bacth'; did you mean 'batch'?"),
        ("sorce.url=x", "job.toml: unknown key 'sorce'; did you mean 'source'?"),
        ("input.divsor=255", "job.toml: unknown key in [input] 'divsor'; did you mean 'divisor'?"),
        ("plan.batch=many", "job.toml: plan.batch = 'many'; expected a whole number."),
        ("plan.batch=true", "job.toml: plan.batch = True; expected a whole number."),
        ("target.kind=predict", "job.toml: unknown value of target.kind 'predict'; did you mean 'predicted'?"),
        ("target.indices=some", "job.toml: unknown value of target.indices 'some'; known: all."),
        ("aggregate.scale=maximum", "job.toml: unknown value of aggregate.scale 'maximum'"),
        ("input.mode=CMYK", "job.toml: input.mode: unknown word 'CMYK'"),
        ("seed=-1", "job.toml: seed and max_bad must not be negative."),
        ("model.kwargs=3", "job.toml: model.kwargs = 3; expected a table of keys."),
        ("methods.gradient=3", "job.toml: [methods.gradient] must be a table of keys, got 3."),
        (
            "methods.smothgrad.sigma=1",
            "[methods.smothgrad] jaxplain: unknown method 'smothgrad'; did you mean",
        ),
        ("methods.rows.method=gradient", "job.toml: [methods.rows] cannot name results"),
        ("peppr.images=0", "job.toml: peppr.images = 0 must be at least 1."),
        ("peppr.step=3", "job.toml: unknown key in [peppr] 'step'; did you mean 'steps'?"),
        ("plan.batch", "--set 'plan.batch': expected section.key=value"),
        ("output.x=1", "--set 'output.x=1': 'output' is a value"),
    ],
)
def test_what_does_not_fit_is_named(job, change, message):
    with pytest.raises(InputError) as raised:
        load_job(job, [change])
    assert message in str(raised.value)


@pytest.mark.parametrize("section", ["output", "[model]", "[source]", "[methods.gradient]"])
def test_what_is_needed_is_named(job, section):
    lines = job.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(section))
    end = start + 1 if section == "output" else start + 2 - (section == "[methods.gradient]")
    job.write_text("\n".join(lines[:start] + lines[end:]))
    with pytest.raises(InputError, match=rf"job.toml: \[?{section.strip('[]').split('.')[0]}\]? is missing"):
        load_job(job)


def test_files_that_are_no_jobs(tmp_path):
    with pytest.raises(InputError, match="no such job file"):
        load_job(tmp_path / "none.toml")
    with pytest.raises(InputError, match="not a job file"):
        load_job(tmp_path)
    (tmp_path / "bad.toml").write_text("[model\nfactory=3")
    with pytest.raises(InputError, match=r"bad.toml: not valid TOML: .*line 1"):
        load_job(tmp_path / "bad.toml")
