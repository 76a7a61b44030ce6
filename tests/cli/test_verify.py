"""``jaxplain verify``: what it finds, what it mends, what it computes again."""

import dataclasses
import random

import numpy as np
import pytest

import jaxplain as library
from jaxplain.io.ledger import checksum
from jaxplain.io.sink import StoreSink
from tests.cli.conftest import refused
from tests.cli.test_workers import stored


@pytest.fixture
def store(jaxplain, job, tmp_path):
    """A finished store."""
    assert jaxplain("run", str(job)).code == 0
    return tmp_path / "store"


def flip(path):
    """Flip a random bit."""
    content = bytearray(path.read_bytes())
    bit = random.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_sound_store_agrees_with_its_job(jaxplain, job, store):
    answer = jaxplain("verify", str(store))
    assert answer.code == 0, answer.err
    assert "Sound: " in answer.out and "7 markers" in answer.out
    answer = jaxplain("verify", str(job), "--rows", "6", "--seed", "3")
    assert answer.code == 0, answer.err
    assert "Explained 6 images again" in answer.out
    assert "gradient  " in answer.out and "of which the store's format may take 4.9e-04" in answer.out
    assert "Explained" not in jaxplain("verify", str(job), "--rows", "0").out


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("maps/gradient/value/c/1", "gradient: shard 1 (images 8 to 15)"),
        ("rows/label/c/2", "rows: shard 2 (images 16 to 19)"),
        ("done/gradient/000000.json", "gradient: shard 0: its marker is damaged"),
        ("global/gradient/mean/c/", "global/gradient: shard 0"),
        ("maps/gradient/zarr.json", "maps/gradient/zarr.json: it is not what was written"),
    ],
)
def test_damage_is_named_mended_and_made_anew(jaxplain, job, store, part, names):
    want = stored(store)
    path = next(path for path in sorted(store.rglob("*")) if path.is_file() and part in str(path))
    flip(path)
    for words in ([str(store)], [str(job)]):
        answer = jaxplain("verify", *words)
        assert answer.code == 2
        assert names in answer.out
        assert f"jaxplain verify {store} --mend" in answer.out and f"`jaxplain run {job}`" in answer.out
    answer = jaxplain("verify", str(store), "--mend")
    assert answer.code == 75
    assert f"Not finished: what is damaged is made anew by `jaxplain run {job}`" in answer.out
    assert jaxplain("run", str(job)).code == 0
    assert stored(store) == want
    assert jaxplain("verify", str(store)).code == 0


def test_a_damaged_manifest_is_found_and_kept(jaxplain, store):
    flip(store / "jaxplain.json")
    for words in ((), ("--mend",)):
        answer = jaxplain("verify", str(store), *words)
        assert answer.code == 2
        assert "jaxplain.json is not made again: restore it from a copy" in answer.out
    assert jaxplain("status", str(store)).code == 2


def test_damaged_results_of_a_sweep_are_found(jaxplain, job, store):
    few = ["--set", "peppr.steps=2", "--set", "peppr.controls=10", "--set", "peppr.resamples=0"]
    assert jaxplain("peppr", str(job), *few).code == 0
    assert jaxplain("verify", str(store)).code == 0
    flip(store / "peppr" / "results.json")
    answer = jaxplain("verify", str(store), "--mend")
    assert answer.code == 75
    assert f"`jaxplain peppr {job}`" in answer.out
    assert jaxplain("peppr", str(job), *few).code == 0
    assert jaxplain("verify", str(store)).code == 0


def test_maps_that_the_job_does_not_compute_are_found(jaxplain, job, store):
    """Their checksums fit: somebody has written other maps as a run would."""
    opened = library.open(store)
    path, ledger = "maps/gradient/value", opened.ledger
    marker = ledger.finished("gradient")[1]
    values = opened.storage.open_array(path).read(slice(8, 16)) * np.float16(0.5)
    StoreSink(opened.storage).write(path, 8, values).result()
    ledger.unmark("gradient", 1)
    ledger.mark(dataclasses.replace(marker, checksums={**marker.checksums, path: checksum(values)}))
    assert jaxplain("verify", str(store)).code == 0
    answer = jaxplain("verify", str(job), "--rows", "20")
    assert answer.code == 2
    assert "gradient  5.0e-01 in image" in answer.out
    assert "More than rounding, on the device that made the store: gradient." in answer.out


def test_what_cannot_be_verified_is_refused(jaxplain, job, tmp_path):
    refused(jaxplain("verify", str(tmp_path / "nowhere")), "no store here")
    refused(jaxplain("verify", str(tmp_path), "--set", "seed=1"), "--set changes a job")
    refused(jaxplain("verify", str(job), "--rows", "-1"), "must not be negative")
    assert jaxplain("run", str(job)).code == 0
    refused(jaxplain("verify", str(job), "--set", "seed=1"), "holds another job", "seed")
