"""What a process with eight devices computes on 1, 2, 4 and 8 of them; run by ``test_devices.py``, writes one ``.npz``.

python -m tests.engine.on_devices OUT.npz gradient smoothgrad 1 8
"""

import sys
import warnings

import jax
import numpy as np

import jaxplain
from jaxplain.aggregate.peppr import order_of
from jaxplain.engine.job import Explanation
from jaxplain.engine.rounds import Stopping
from jaxplain.engine.run import run
from jaxplain.engine.scores import ScoresInMemory
from jaxplain.engine.sweep import Settings, sweep
from jaxplain.testing.networks import images, smooth_network
from tests.engine.places import job, place, source

N = 19  # a ragged last batch for every batch below
BATCH = 8
KEYWORDS = {
    "gradient": {},
    "smoothgrad": {"n_samples": 3},
    "integrated_gradients": {"baseline": 0.0, "n_steps": 4},
    "grad_cam": {"layer": "features", "upsample": None},
    "lrp": {"composite": "epsilon"},
    "occlusion": {"baseline": 0.0, "window": (4, 4), "stride": (4, 4)},
    "rise": {"baseline": 0.0, "n_samples": 16, "cells": (4, 4)},
}
ROUNDS = {"rise": {"tolerance": 0.5, "budget": 128}, "smoothgrad": {"tolerance": 0.3, "budget": 24}}
EXPLANATIONS = (
    Explanation("gradient", "gradient"),
    Explanation("cam", "grad_cam", KEYWORDS["grad_cam"], {"layer": "features"}),
    Explanation(
        "rounds", "smoothgrad", {"n_samples": 3}, {"n_samples": 3, "tolerance": 0.3},
        Stopping(0.3, 24),
    ),
)  # fmt: skip
"""Two methods in the program of the clean pass, and one in rounds."""


def maps_of(method: str, devices: int, **more) -> np.ndarray:
    """The maps of a method, each image with its own label."""
    return jaxplain.explain(
        smooth_network(),
        images(N),
        jaxplain.Predicted() if method == "gradient" else jaxplain.Logit(np.arange(N) % 5),
        method=method,
        key=jax.random.key(0),
        batch=BATCH,
        devices=devices,
        **{**KEYWORDS[method], **more},
    )


def run_of(devices: int) -> dict[str, np.ndarray]:
    """Maps, rows and figures of a run."""
    where, storage = place()
    summary = run(job(EXPLANATIONS, batch=BATCH, store="float32", devices=devices), source(N, bad=[5]), where)
    store = jaxplain.open(storage.url)
    assert summary.complete
    assert store.manifest["plan"]["devices"] == devices
    found = {f"maps/{name}": store.maps(name)[:] for name in store.names}
    return {**found, **{f"rows/{field}": store.rows(field) for field in store.fields}}


def sweep_of(devices: int) -> np.ndarray:
    """Areas of a sweep, and what they are made of: a measure of every order."""
    ramp = np.arange(120.0).reshape(12, 10)
    orders = [order_of("ramp", ramp), order_of("back", -ramp)]
    settings = Settings((0.0, 0.2, 0.5, 1.0), n_random=10, resamples=0, batch=BATCH, devices=devices)
    kept = Kept()
    sweep(smooth_network(), source(N), orders, settings, scores=kept)
    return kept.all


class Kept(ScoresInMemory):
    """Scores that stay to be looked at."""

    def put(self, shard, first, scores, ends):
        super().put(shard, first, scores, ends)
        self.all = scores


def main(out: str, *words: str) -> None:
    """Compute the named methods on the numbers of devices named."""
    counts = [int(word) for word in words if word.isdecimal()]
    assert jax.local_device_count() == 8
    found = {}
    for devices in counts:
        for word in words:
            if word in KEYWORDS:
                found[f"{word}/{devices}"] = maps_of(word, devices)
                if word in ROUNDS:
                    found[f"{word} in rounds/{devices}"] = maps_of(word, devices, **ROUNDS[word])
            elif word == "run":
                found |= {f"run/{name}/{devices}": values for name, values in run_of(devices).items()}
            elif word == "sweep":
                found[f"sweep/{devices}"] = sweep_of(devices)
    np.savez(out, **{name.replace("/", "|"): values for name, values in found.items()})


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)  # images that stay above their tolerance
    main(*sys.argv[1:])
