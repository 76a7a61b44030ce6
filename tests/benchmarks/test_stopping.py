"""The comparison of figures that tell the error of a path, run small."""

import json

import numpy as np

from benchmarks import stopping
from benchmarks.smoothdiff import Network
from jaxplain.testing.networks import images, relu_network


def test_every_round_and_every_rule_is_judged():
    network = Network(relu_network(), images(6), {"weights": "random"})
    found = stopping.measure(network, n_reference=257, most=17)
    assert list(json.loads(json.dumps(found, allow_nan=False))["rounds"]) == ["5", "9", "17"]
    assert found["rounds"]["5"]["step"] is None
    errors = [row["error"][0] for row in found["rounds"].values()]
    assert errors == sorted(errors, reverse=True)
    for rules in found["stops"].values():
        assert rules["both"]["gradients"] >= max(rules["gap"]["gradients"], rules["step"]["gradients"])
    assert len(stopping.table("relu", found).splitlines()) == 2 + 3 + 9


def test_images_stop_at_the_first_round_that_satisfies_a_rule_or_at_the_last():
    met = np.array([[False, True, False], [True, False, False], [True, True, False]])
    error = np.arange(9.0).reshape(3, 3)
    found = stopping.stopped(met, error, (5, 9, 17))
    assert found["error"][0] == 3.0  # of 3, 1 and 8
    assert found["stopped"] == stopping.rounded(2 / 3)
    assert np.isclose(found["gradients"], (9 + 5 + 17) / 3, rtol=1e-3)


def test_a_figure_that_is_the_error_foretells_it():
    error = np.array([0.1, 0.4, 0.2])
    assert stopping.foretold(error, error) == {"median": 0.2, "error over it": [1.0, 1.0], "rank correlation": 1.0}
    assert stopping.foretold(np.array([np.nan, 1, 1]), error) is None
