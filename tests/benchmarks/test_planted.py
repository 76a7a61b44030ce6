"""The benchmark on generated sets, run small: the machinery, not the acceptance figures."""

import json

import numpy as np
import pytest

from benchmarks import planted
from jaxplain.core.maps import MapSteps
from jaxplain.engine.finalize import global_maps
from jaxplain.synthetic import aligned


@pytest.fixture(scope="module")
def small():
    return planted.run(2, 400)


def test_a_faithful_map_beats_chance_also_on_few_images(small):
    # Law: over seeds 0 to 7 with 400 images the macro gap was 0.16 +- 0.03, a single random order's 0.00 +- 0.045.
    rows = {row["name"]: row for row in small["criteria"]}
    assert rows["gap, macro map"]["min"] > 0.1 > abs(rows["gap, random orders"]["mean"])
    assert small["seeds"][0]["arms"]["fitted"]["gap"] > max(small["seeds"][0]["arms"]["fitted"]["random"])


def test_results_say_what_they_were_measured_with_and_are_json(small):
    assert {"commit", "device", "versions", "criteria", "seeds"} <= set(small)
    assert json.loads(json.dumps(small, allow_nan=False))["images"] == 400
    text = planted.table(small["criteria"])
    assert "gap, macro map" in text and len(text.splitlines()) == 1 + len(small["criteria"])


def test_ridge_is_the_minimum_of_its_loss():
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(50, 3, 4, 1)), rng.random((50, 2)) < 0.5
    fitted = planted.ridge(images, labels)
    x, y = images.reshape(50, -1), labels.astype(float)
    residual = y - fitted["bias"] - (x - fitted["center"]) @ fitted["weights"]
    gradient = planted.RIDGE * fitted["weights"] - (x - fitted["center"]).T @ residual
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


@pytest.mark.parametrize(("scale", "decided"), [("none", True), ("max", False), ("mass", False), ("p99", False)])
def test_scaling_each_map_keeps_corrupted_images_from_deciding_a_rare_label(scale, decided):
    made = aligned(2000, seed=0, background="white", strength=1.0, n_outliers=2)
    weights = np.random.default_rng(0).normal(size=(3, 24, 24)) + 3.0 * made.masks
    maps = planted.Maps((made.images[:, None, ..., 0] * weights)[..., None].astype(np.float32))
    status = np.zeros(2000, np.uint8)
    quarantined = status.copy()
    quarantined[made.outliers] = 1
    with_them, without = (
        global_maps(maps, made.labels, status, codes, n_labels=3, steps=MapSteps(scale=scale)).mean[planted.RARE]
        for codes in (status, quarantined)
    )
    change = np.linalg.norm(with_them - without) / np.linalg.norm(without)
    assert change > 1 if decided else change < 0.1
