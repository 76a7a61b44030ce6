"""Several workers from the command line: who is who, who holds what, how a run ends when it is asked to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import jaxplain as library
from jaxplain._errors import InputError
from jaxplain.cli.rank import worker_of
from jaxplain.cli.signals import stopping
from jaxplain.engine.stop import Stopped
from jaxplain.io.leases import Leases
from jaxplain.io.owners import Owner
from tests.cli.conftest import refused
from tests.io.test_leases import hearts  # noqa: F401  used by every test

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("environ", "want"),
    [
        ({}, "1/1"),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "16"}, "4/16"),
        ({"SLURM_PROCID": "0"}, "1/1"),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "4"}, "3/4"),
        (
            {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_STEP": "4",
             "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_PROCID": "0"},
            "3/3",
        ),
        (
            {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"},
            "4/6",
        ),
        ({"JOB_COMPLETION_INDEX": "0", "JAXPLAIN_WORKERS": "64"}, "1/64"),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, "2/2"),
        ({"TPU_WORKER_ID": "2", "TPU_WORKER_HOSTNAMES": "a,b,c,d"}, "3/4"),
        ({"TPU_WORKER_ID": "0", "TPU_WORKER_HOSTNAMES": "localhost"}, "1/1"),
        ({"JOB_COMPLETION_INDEX": "5", "TPU_WORKER_ID": "1", "TPU_WORKER_HOSTNAMES": "a,b"}, "2/2"),
    ],
)  # fmt: skip
def test_the_environment_tells_which_worker_this_is(environ, want):
    assert str(worker_of("auto", environ)) == want


@pytest.mark.parametrize(
    ("words", "environ", "match"),
    [
        ("0/4", {}, "0/4 is none; with 4 workers they are called 1/4 to 4/4"),
        ("5/4", {}, "5/4 is none"),
        ("1/0", {}, "1/0 is none"),
        ("two", {}, "'two' is neither i/n, such as 2/4, nor auto"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "JAXPLAIN_WORKERS is not set; set it to the Job's completions"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        ("auto", {"SLURM_PROCID": "x", "SLURM_NTASKS": "2"}, "SLURM_PROCID = 'x' is no whole number"),
        ("auto", {"SLURM_PROCID": "2", "SLURM_NTASKS": "2"}, "no number of 2 workers"),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "3"},
            "number them evenly",
        ),
    ],
)
def test_workers_that_cannot_be_told_are_refused(words, environ, match):
    with pytest.raises(InputError, match=match):
        worker_of(words, environ)


def stored(folder):
    """Every stored byte of maps, rows and global maps, by file; what a killed writer had under way is no part of it."""
    tops = [folder / top for top in ("maps", "rows", "global")]
    files = [path for top in tops for path in top.rglob("*") if path.is_file() and "__lock" not in path.name]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_workers_do_their_ranges_and_the_last_makes_the_global_maps(jaxplain, job, tmp_path):
    first = jaxplain("run", str(job), "--worker", "1/2")
    assert first.code == 0, first.err
    assert "Explained 8 of 20 images" in first.out
    assert "This worker's part is done; others have shards left" in first.out
    store = library.open(tmp_path / "store")
    assert not store.has_globals("gradient")
    second = jaxplain("run", str(job), "--worker", "2/2")
    assert (second.code, store.has_globals("gradient")) == (0, True), second.err
    assert "The maps and global maps are in" in second.out
    assert jaxplain("run", str(job), "--set", "output=alone").code == 0
    assert stored(tmp_path / "store") == stored(tmp_path / "alone")
    assert store.storage.list("lease/") == []


def test_a_thief_does_what_others_have_left(jaxplain, job, tmp_path):
    answer = jaxplain("run", str(job), "--worker", "2/2", "--steal")
    assert answer.code == 0, answer.err
    assert "Explained 20 of 20 images" in answer.out
    assert library.open(tmp_path / "store").has_globals("gradient")


def test_what_somebody_alive_holds_is_reported_and_is_no_success(jaxplain, job, tmp_path):
    jaxplain("run", str(job), "--worker", "1/2")
    held = Leases(library.open(tmp_path / "store").storage, Owner.here("2/2")).take("000002")
    answer = jaxplain("run", str(job))
    assert answer.code == 75
    assert f"Shard 2 is held by {Owner.here('2/2')}" in answer.out
    assert "The same command does the missing shards" in answer.out
    status = jaxplain("status", str(tmp_path / "store"))
    assert f"shard 2: {Owner.here('2/2')}, for less than a minute" in status.out
    held.release()
    assert jaxplain("run", str(job)).code == 0
    assert "held" not in jaxplain("status", str(tmp_path / "store")).out


def test_global_maps_are_made_by_one(jaxplain, job, tmp_path):
    jaxplain("run", str(job), "--worker", "1/2")
    store = library.open(tmp_path / "store")
    held = Leases(store.storage, Owner.here("1/2")).take("global/000000")
    answer = jaxplain("run", str(job), "--worker", "2/2")
    assert answer.code == 0
    assert f"No global maps: {Owner.here('1/2')} makes them" in answer.out
    refused(jaxplain("finalize", str(tmp_path / "store")), f"{Owner.here('1/2')} makes the global maps just now")
    held.release()
    assert jaxplain("run", str(job)).code == 0
    assert store.has_globals("gradient")


def test_global_maps_older_than_a_shard_are_made_anew(jaxplain, job, tmp_path):
    jaxplain("run", str(job))
    store = library.open(tmp_path / "store")
    before = store.ledger.finished("global/gradient")[0]
    assert "aggregating" not in jaxplain("run", str(job)).err
    marker = store.ledger.finished("rows")[1]
    store.ledger.unmark("rows", 1)
    store.ledger.mark(type(marker)(**{**vars(marker), "checksums": {**marker.checksums, "rows/label": "another"}}))
    assert "aggregating" in jaxplain("run", str(job)).err
    after = store.ledger.finished("global/gradient")[0]
    assert before.facts["made_of"] != after.facts["made_of"]


def test_a_worker_that_is_none_is_refused(jaxplain, job):
    refused(jaxplain("run", str(job), "--worker", "3/2"), "3/2 is none")


def test_workers_share_a_sweep(jaxplain, job, tmp_path):
    jaxplain("run", str(job))
    few = ["--set", "peppr.steps=2", "--set", "peppr.controls=10", "--set", "peppr.resamples=0"]
    first = jaxplain("peppr", str(job), *few, "--worker", "1/2")
    assert first.code == 0, first.err
    assert "This worker's part is swept: 1 of 1 shards are left" in first.out
    second = jaxplain("peppr", str(job), *few)
    assert second.code == 0, second.err
    store = library.open(tmp_path / "store")
    assert store.peppr() is not None
    assert store.storage.list("lease/") == []


def test_finalize_names_the_images_that_are_missing(jaxplain, job, tmp_path):
    jaxplain("run", str(job))
    store = library.open(tmp_path / "store")
    for shard in (0, 2):
        store.ledger.unmark("gradient", shard)
    refused(jaxplain("finalize", str(tmp_path / "store")), "gradient", "images 0 to 7, 16 to 19", "jaxplain run")


def test_finalize_finds_shards_that_disagree_with_their_digests_and_they_are_redone(jaxplain, job, tmp_path):
    jaxplain("run", str(job))
    want = stored(tmp_path / "store")
    assert jaxplain("finalize", str(tmp_path / "store"), "--check").code == 0
    store = library.open(tmp_path / "store")
    path = tmp_path / "store" / "maps" / "gradient" / "value" / "c" / "1" / "0" / "0" / "0"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    answer = jaxplain("finalize", str(tmp_path / "store"), "--check")
    assert answer.code == 75
    assert "gradient: shard 1 (images 8 to 15)" in answer.out
    assert f"jaxplain run {job}" in answer.out
    assert store.finished("gradient") == (0, 2) and not store.has_globals("gradient")
    assert jaxplain("run", str(job)).code == 0
    assert stored(tmp_path / "store") == want


def test_a_signal_becomes_a_wish_and_a_second_interrupt_is_obeyed_at_once():
    before = signal.getsignal(signal.SIGTERM)
    with stopping(100.0) as stop:
        with stop.heeded():
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.asked and 99 < stop.left <= 100
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is before
    with stopping(100.0), pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def start(job, *words):
    """Start a worker in a program of its own."""
    command = [sys.executable, "-m", "jaxplain.cli", "run", str(job), *words]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def long_job(job):
    """A job of 400 images and 100 shards, a second or two of work."""
    rng = np.random.default_rng(1)
    images = rng.integers(20, 255, (400, 4, 4, 1), dtype=np.uint8)
    np.savez(job.parent / "images.npz", images=images, labels=np.arange(400) % 3)
    job.write_text(job.read_text().replace("rows_per_shard = 8", "rows_per_shard = 4"))
    return job


def first_shard(folder, worker):
    end = time.monotonic() + 120
    while not any(folder.joinpath("done").rglob("*.json")):
        assert worker.poll() is None and time.monotonic() < end, worker.communicate()[0]
        time.sleep(0.01)


@pytest.mark.slow
def test_two_programs_on_one_store_write_the_bytes_of_one(jaxplain, long_job, tmp_path):
    assert jaxplain("run", str(long_job), "--set", "output=alone").code == 0
    workers = [start(long_job, "--worker", f"{number}/2", "--steal") for number in (1, 2)]
    said = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert stored(tmp_path / "store") == stored(tmp_path / "alone")
    assert not [path for path in (tmp_path / "store" / "lease").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_killed_program_is_survived_by_the_other(jaxplain, long_job, tmp_path):
    assert jaxplain("run", str(long_job), "--set", "output=alone").code == 0
    workers = [start(long_job, "--worker", f"{number}/2", "--steal") for number in (1, 2)]
    first_shard(tmp_path / "store", workers[0])
    workers[0].kill()
    said = workers[1].communicate(timeout=300)[0]
    workers[0].communicate()
    assert workers[1].returncode == 0, said
    assert stored(tmp_path / "store") == stored(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_that_is_asked_to_end_says_how_to_go_on(jaxplain, long_job, tmp_path, number):
    worker = start(long_job, "--grace", "5")
    first_shard(tmp_path / "store", worker)
    worker.send_signal(number)
    said = worker.communicate(timeout=60)[0]
    assert worker.returncode == 75, said
    assert "jaxplain run" in said or "same command" in said
    assert not [path for path in (tmp_path / "store" / "lease").rglob("*") if path.is_file()]
    assert jaxplain("run", str(long_job)).code == 0
    assert jaxplain("run", str(long_job), "--set", "output=alone").code == 0
    assert stored(tmp_path / "store") == stored(tmp_path / "alone")


@pytest.mark.slow
def test_a_program_that_waits_for_the_device_ends_when_it_is_asked_to(job, tmp_path):
    """The network takes ten seconds or more for a batch; five seconds after the wish would be long."""
    job.write_text(job.read_text().replace("networks:linear", "networks:endless"))
    worker = start(job)
    for line in worker.stdout:
        if line.startswith("compiling: done"):
            break
    time.sleep(1)
    asked = time.monotonic()
    worker.terminate()
    said = worker.communicate(timeout=60)[0]
    assert worker.returncode == 75, said
    assert time.monotonic() - asked < 5
    assert "the same command goes on where it was" in said
