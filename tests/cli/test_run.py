"""Runs from a job file: whole, killed, moved, changed; what is bad is left out and told."""

import errno
import json
import shutil

import numpy as np
import pytest

import jaxplain as library
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources.arrays import ArraySource
from tests.cli.conftest import refused
from tests.cli.networks import _weights


def rewrite(job, **arrays):
    with np.load(job.parent / "images.npz") as old:
        np.savez(job.parent / "images.npz", **{**old, **arrays})


def test_a_run_writes_maps_and_global_maps(jaxplain, job):
    answer = jaxplain("run", str(job))
    assert answer.code == 0, answer.err
    assert "Explained 20 of 20 images by 1 method in" in answer.out
    assert "explaining: 8/20 images" not in answer.err or "shard" in answer.err
    store = library.open(job.parent / "store")
    weights = _weights((4, 4, 1), 3).T.reshape(3, 4, 4, 1)
    np.testing.assert_allclose(store.maps("gradient")[:], weights[store.rows("prediction")], rtol=2e-3, atol=2e-3)
    assert store.has_globals("gradient")
    assert store.manifest["class_names"] == ["a", "b", "c"]
    assert json.loads(store.storage.read("run.json"))["images in the last run"] == 20


def test_a_second_run_has_nothing_to_do(jaxplain, job):
    jaxplain("run", str(job))
    answer = jaxplain("run", str(job))
    assert answer.code == 0
    assert "Nothing to do: all 20 images" in answer.out


def test_the_library_runs_a_job(job):
    summary = library.run(job, set=["source.limit=6"])
    assert (summary.images, summary.total, summary.complete) == (6, 6, True)
    assert summary.aggregated == ("gradient",)


def test_a_job_that_moved_is_the_same_job(jaxplain, job, tmp_path):
    jaxplain("run", str(job))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("job.toml", "images.npz", "store"):
        shutil.move(tmp_path / name, elsewhere / name)
    answer = jaxplain("run", str(elsewhere / "job.toml"))
    assert answer.code == 0
    assert "Nothing to do" in answer.out


def test_another_job_is_refused_with_the_keys_that_differ(jaxplain, job):
    jaxplain("run", str(job), "--set", "methods.fine.method=smoothgrad", "--set", "methods.fine.n_samples=2")
    changes = [
        "methods.fine.method=smoothgrad",
        "methods.fine.n_samples=3",
        "seed=1",
        "model.kwargs.scale=2.0",
        "input.divisor=1",
    ]
    answer = jaxplain("run", str(job), *(word for change in changes for word in ("--set", change)))
    refused(
        answer,
        "store: holds another job",
        "seed: 0 in the store, 1 in the job",
        "input.divisor: 255.0 in the store, 1.0 in the job",
        "methods.fine.n_samples: 2 in the store, 3 in the job",
        "(the weights have changed)",
    )


def test_a_method_can_be_added(jaxplain, job):
    jaxplain("run", str(job))
    answer = jaxplain("run", str(job), "--set", "methods.input_x_gradient={}")
    assert answer.code == 0, answer.err
    assert library.open(job.parent / "store").complete("input_x_gradient")


def test_other_steps_make_the_global_maps_anew(jaxplain, job):
    jaxplain("run", str(job))
    jaxplain("run", str(job), "--set", "aggregate.sign=signed", "--set", "aggregate.exclude=['c']")
    attributes = library.open(job.parent / "store").globals("gradient")["attributes"]
    assert attributes["steps"]["sign"] == "signed"
    assert attributes["exclude"] == [2]


def test_all_logits(jaxplain, job):
    answer = jaxplain("run", str(job), "--set", "target.kind=logits")
    assert answer.code == 0, answer.err
    assert library.open(job.parent / "store").maps("gradient").shape == (20, 3, 4, 4, 1)


def test_some_logits_have_no_global_maps(jaxplain, job):
    answer = jaxplain("run", str(job), "--set", "target.kind=logits", "--set", "target.indices=[2, 0]")
    assert answer.code == 0, answer.err
    assert "No global maps: global maps need every class" in answer.out


def test_without_kept_maps_there_are_global_maps(jaxplain, job):
    answer = jaxplain("run", str(job), "--set", "plan.store=none")
    assert answer.code == 0, answer.err
    assert library.open(job.parent / "store").has_globals("gradient")


def test_nan_pixels_are_left_out(jaxplain, job):
    images = np.random.default_rng(2).uniform(1, 200, (20, 4, 4, 1)).astype(np.float32)
    images[3, 0, 0, 0], images[11, 1, 1, 0] = np.nan, np.inf
    rewrite(job, images=images)
    answer = jaxplain("run", str(job))
    assert answer.code == 0, answer.err
    assert "2 images were left out" in answer.out
    assert "image 3: NaN or Inf in the pixels" in answer.out
    store = library.open(job.parent / "store")
    assert np.flatnonzero(store.rows("status")).tolist() == [3, 11]
    assert np.isnan(store.maps("gradient")[3]).all()
    assert np.isfinite(store.globals("gradient")["mean"][-1]).all()
    shown = jaxplain("status", "store").out
    assert "image 11: NaN or Inf in the pixels" in shown


def test_nan_logits_are_left_out(jaxplain, job):
    images = np.full((20, 4, 4, 1), 100, np.uint8)
    images[7] = 0
    rewrite(job, images=images)
    answer = jaxplain("run", str(job), "--set", "model.factory=tests.cli.networks:nan_on_dark")
    assert answer.code == 0, answer.err
    assert "image 7: NaN or Inf in the logits" in answer.out


def test_max_bad_stops_the_run(jaxplain, job):
    images = np.full((20, 4, 4, 1), np.nan, np.float32)
    rewrite(job, images=images)
    answer = jaxplain("run", str(job), "--set", "max_bad=2")
    refused(answer, "images could not be used, more than max_bad = 2; mend the source, or raise max_bad.")
    assert not library.open(job.parent / "store").complete("gradient")


def test_a_label_without_images_is_told(jaxplain, job):
    rewrite(job, labels=np.arange(20) % 2)
    answer = jaxplain("run", str(job))
    assert answer.code == 0
    assert "label c: no images, so its global maps are NaN" in answer.err
    found = library.open(job.parent / "store").globals("gradient")
    assert np.isnan(found["mean"][found["groups"].index("label/2")]).all()


def test_a_full_disk_is_told_and_a_later_run_goes_on(jaxplain, job, monkeypatch):
    write = StoreSink.write

    def full(sink, path, first_row, values):
        if path.startswith("maps") and first_row >= 8:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return write(sink, path, first_row, values)

    with monkeypatch.context() as patch:
        patch.setattr(StoreSink, "write", full)
        answer = jaxplain("run", str(job))
    refused(answer, "maps/gradient/value: No space left on device; free some space")
    store = library.open(job.parent / "store")
    assert store.finished("gradient") == (0,)
    with pytest.raises(library.InputError):
        store.maps("gradient")[:]
    answer = jaxplain("run", str(job))
    assert answer.code == 0
    assert "Explained 12 of 20 images" in answer.out


def test_a_shard_that_cannot_be_read_is_done_later(jaxplain, job, monkeypatch):
    read = ArraySource.read

    def failing(source, rows):
        if 9 in np.asarray(rows):
            raise OSError(errno.EIO, "Input/output error", "images.npz")
        return read(source, rows)

    with monkeypatch.context() as patch:
        patch.setattr(ArraySource, "read", failing)
        answer = jaxplain("run", str(job))
    assert answer.code == 75, answer.err
    assert "Shard 1 failed" in answer.out
    assert "Not finished. The same command does the missing shards" in answer.out
    assert "gradient      2/3 shards  not finished" in jaxplain("status", "store").out
    assert jaxplain("run", str(job)).code == 0


def test_an_interrupted_run_says_how_to_go_on(jaxplain, job, monkeypatch):
    def interrupt(source, rows):
        raise KeyboardInterrupt

    monkeypatch.setattr(ArraySource, "read", interrupt)
    answer = jaxplain("run", str(job))
    assert answer.code == 130
    assert "interrupted; the same command goes on where it was" in answer.err


def test_without_kept_maps_the_rest_still_works(jaxplain, job):
    none = ("--set", "plan.store=none")
    assert jaxplain("run", str(job), *none).code == 0
    assert jaxplain("status", "store").code == 0
    refused(jaxplain("finalize", "store"), "keeps no maps")
    sweep = ("peppr.steps=3", "peppr.resamples=0", "peppr.groups=['overall/macro']")
    answer = jaxplain("peppr", str(job), *none, *(word for change in sweep for word in ("--set", change)))
    assert answer.code == 0, answer.err
