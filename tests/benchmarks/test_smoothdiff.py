"""The comparison of SmoothDiff with SmoothGrad, run small."""

import json

import numpy as np

from benchmarks import smoothdiff


def test_all_methods_are_compared_with_the_reference_and_their_passes_counted(standard_promotion):
    network = smoothdiff.trained(2, n_train=300, n_steps=15)
    found = smoothdiff.compare(network, n_reference=256, repeats=1)
    assert json.loads(json.dumps(found, allow_nan=False))["shape"] == [2, 24, 24, 1]
    passes = {name: (row["forward passes"], row["backward passes"]) for name, row in found["methods"].items()}
    assert passes["smoothgrad, 64"] == (64, 64)
    assert passes["smoothdiff, 64"] == (65, 1)
    distances = {name: row["distance"]["median"] for name, row in found["methods"].items()}
    assert distances["smoothgrad, 64"] < distances["gradient"]  # over three keys 0.10 to 0.13, and 0.58 to 0.69
    assert all(row["cosine"]["median"] > 0.5 for row in found["methods"].values())
    lines = smoothdiff.table("trained", found).splitlines()
    assert len(lines) == 2 + len(passes)
    assert "256 samples" in lines[0]


def test_the_cosine_is_that_of_the_angle():
    assert np.isclose(smoothdiff.cosine(np.array([[1.0, 0.0]]), np.array([[3.0, 3.0]])), np.sqrt(0.5))
