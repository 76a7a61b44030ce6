"""The benchmark on generated sets, run small: the machinery, not the acceptance figures."""

import json

import numpy as np
import pytest

from benchmarks import planted


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
