"""Several devices give what one gives, to rounding; and a store stays on the number of devices it was planned for.

The suite's process has one device, so eight are asked for in a process of their own.
"""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxplain import InputError, Logit
from jaxplain.core.score import Score
from jaxplain.engine import open_run
from jaxplain.engine.devices import Devices
from jaxplain.engine.plan import Plan, choose_tile
from jaxplain.engine.run import run
from jaxplain.testing import tol
from jaxplain.testing.networks import images, smooth_network
from tests.engine.on_devices import KEYWORDS
from tests.engine.places import EXPLANATIONS, content, job, place, source
from tests.sources import ROOT

TERMS = 200
"""About as many products are summed to one entry of a map of the small network."""


def on_eight(tmp_path, *words):
    """Compute methods on numbers of devices in a process that has eight; arrays by method and number."""
    out = tmp_path / "found.npz"
    settings = {"JAX_NUM_CPU_DEVICES": "8", "JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"}
    command = [sys.executable, "-m", "tests.engine.on_devices", str(out), *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    with np.load(out) as arrays:
        for key in arrays.files:
            name, _, devices = key.replace("|", "/").rpartition("/")
            found.setdefault(name, {})[int(devices)] = arrays[key]
    return found


def agree(found, counts):
    """Check that every array is the same on any number of devices: whole numbers exactly, others to rounding."""
    for name, by_devices in found.items():
        assert sorted(by_devices) == counts
        want = by_devices.pop(1)
        for devices, got in by_devices.items():
            where = f"{name} on {devices} devices"
            if want.dtype.kind != "f":
                np.testing.assert_array_equal(got, want, err_msg=where)
                continue
            size = np.nanmax(np.abs(want))
            np.testing.assert_allclose(got, want, **tol(np.float32, terms=TERMS, scale=size), err_msg=where)


def test_a_run_on_several_devices_stores_what_one_device_stores(tmp_path):
    found = on_eight(tmp_path, "run", 1, 4)
    assert {"run/maps/gradient", "run/maps/cam", "run/maps/rounds", "run/rows/score"} <= set(found)
    evaluations = found["run/rows/evaluations/rounds"][1]
    assert len(np.unique(evaluations)) > 1, "all images stop at once, so that rounds are not tried"
    agree(found, [1, 4])


@pytest.mark.slow
def test_methods_and_sweeps_do_not_depend_on_the_number_of_devices(tmp_path):
    found = on_eight(tmp_path, *KEYWORDS, "run", "sweep", 1, 2, 4, 8)
    assert {*KEYWORDS, "rise in rounds", "smoothgrad in rounds", "sweep"} <= set(found)
    agree(found, [1, 2, 4, 8])


def test_more_devices_than_there_are_cannot_be_asked_for():
    with pytest.raises(InputError, match=r"devices = 2, but this process has 1"):
        Devices.local(2)
    with pytest.raises(InputError, match="devices = 0"):
        Devices.local(0)
    assert Devices.local() == Devices.local(1) == Devices()


def test_every_device_gets_equally_many_images():
    score = Score(smooth_network(), Logit(np.zeros(1, np.int32)))
    shape = jax.ShapeDtypeStruct(images(1).shape[1:], np.float32)
    assert choose_tile(score, shape, 100, "2GiB", 10, 4).batch == 12
    assert choose_tile(score, shape, 37, "2GiB", None, 8).batch == 40
    one, four = (choose_tile(score, shape, 10_000, "2GiB", None, devices) for devices in (1, 4))
    assert four.batch == 4 * one.batch
    assert four.chunk == one.chunk


def test_a_store_stays_on_its_number_of_devices(monkeypatch):
    where, storage = place()
    run(job(EXPLANATIONS[:1]), source(), where)
    before = content(storage)
    where.ledger.unmark("gradient", 1)
    planned = Plan.of

    def for_two(record):
        return replace(planned(record), batch=8, devices=2)

    monkeypatch.setattr(open_run.Plan, "of", for_two)
    with pytest.raises(InputError, match=r"planned for 2 devices and here are 1.*plan.devices = 2.*--replan"):
        run(job(EXPLANATIONS[:1]), source(), place(storage.url)[0])
    summary = run(job(EXPLANATIONS[:1]), source(), place(storage.url)[0], replan=True)
    assert summary.complete
    assert content(storage) == before  # the share of one device is what it was


def test_a_plan_from_before_devices_were_counted_is_for_one():
    assert Plan.of({"batch": 4, "chunk": 2, "precision": "fast", "rows_per_shard": 8}).devices == 1
