"""The crash campaign, small: faults of every kind leave the bytes of an undisturbed worker."""

import numpy as np
import pytest

from benchmarks.crash import campaign
from benchmarks.faults import EXPECTED, KINDS, POINTS, drawn


def test_faults_of_every_kind_and_point_are_drawn():
    """1000 draws miss the rarest kind, of probability 0.05, with probability 5e-23; some point with 2e-11."""
    rng = np.random.default_rng(0)
    faults = [drawn(rng, 1.0) for _ in range(1000)]
    assert {fault.kind for fault in faults} == set(KINDS) == set(EXPECTED) - {"none"}
    assert {fault.point for fault in faults if fault.kind == "killed at a point"} == set(POINTS)


@pytest.mark.slow
def test_workers_that_are_killed_stopped_or_cannot_write_lose_nothing():
    """Four rounds; ``python -m benchmarks.crash`` does two hundred."""
    found = campaign(rounds=4, n=80, seed=3)
    assert not found["failed"], found["failed"]
    assert sum(found["faults"].values()) >= 4


@pytest.mark.slow
def test_a_network_that_fails_as_well_loses_nothing():
    """Two rounds on S3 with a request in 33 that fails; moto's server is in the extra `s3`."""
    found = campaign(rounds=2, n=80, seed=4, on_s3=2)
    assert not found["failed"], found["failed"]
    assert sum(found["faults of the network"].values()) >= 4
