"""Jobs whose output is an object store: what stands against it is said before anything is computed."""

import jaxplain as library
from tests.cli.conftest import refused
from tests.io.faults import BUCKET


def to_s3(job, place):
    job.write_text(job.read_text().replace('output = "store"', f'output = "s3://{place}"'))


def test_a_job_runs_to_s3_and_its_maps_are_read_from_there(jaxplain, job, s3_proxy):
    to_s3(job, f"{BUCKET}/runs/one")
    assert jaxplain("run", "job.toml").code == 0
    store = library.open(f"s3://{BUCKET}/runs/one")
    assert store.maps("gradient")[:].shape == (20, 4, 4, 1) and store.has_globals("gradient")
    assert jaxplain("status", f"s3://{BUCKET}/runs/one").code == 0
    assert not [key for key in store.storage.list() if key.startswith(("writing/", "lease/"))]


def test_missing_credentials_name_the_variables(jaxplain, job, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    to_s3(job, "bucket/store")
    answer = jaxplain("run", "job.toml")
    refused(answer, "AWS_ACCESS_KEY_ID", "AWS_PROFILE")
    assert "compiling" not in answer.err


def test_a_bucket_that_is_not_there_or_forbidden_is_said_before_anything_is_computed(jaxplain, job, s3_proxy):
    to_s3(job, "nowhere-to-be-found/store")
    answer = jaxplain("run", "job.toml")
    refused(answer, "s3://nowhere-to-be-found/store", "is there such a bucket")
    assert "compiling" not in answer.err
    s3_proxy.plan = lambda method, path, number: "403" if method == "PUT" else "ok"
    answer = jaxplain("run", "job.toml", "--set", f"output=s3://{BUCKET}/two")
    refused(answer, "the server answers 403 Forbidden", "check AWS_ACCESS_KEY_ID")
    assert "compiling" not in answer.err
