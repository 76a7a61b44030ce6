"""What many images need follows from the costs by closed numbers; the costs can be measured small."""

import pytest

from benchmarks import capacity, tables
from benchmarks.capacity import DECODE, DEVICE, GLOBAL, STORAGE, WRITE, Cluster, Costs, enough, needs

COSTS = Costs(decode=0.01, step=0.1, stored=3e5, write=1e8, finalize=1e-4)
MADE = {"commit": "0123456789abcdef", "device": "gpu", "processor": "A", "versions": {"jax": "1", "jaxlib": "2"}}


def test_the_stages_follow_from_the_costs():
    """1,000,000 images on 16 devices of two hosts with 4 cores each, and a storage of 1 GB/s."""
    found = needs(1_000_000, COSTS, Cluster(16, 4, 8, 1e9))
    assert found.seconds == pytest.approx(
        {DEVICE: 6250.0, DECODE: 156.25, WRITE: 1500.0, STORAGE: 300.0, GLOBAL: 100.0}
    )
    assert found.total == pytest.approx(6350.0) and found.first == DEVICE
    assert found.stored == 3e11 and found.shards == 1502 and found.index == 8.8e7


@pytest.mark.parametrize(
    ("changed", "cluster", "first", "total"),
    [
        ({"decode": 1.0}, Cluster(8, 2, 8, 1e9), DECODE, 6.25e4 + 100),
        ({"write": 1e6}, Cluster(8, 2, 8, 1e9), WRITE, 3e5 + 100),
        ({}, Cluster(1000, 2, 8, 1e6), STORAGE, 3e5 + 100),
        ({"finalize": 0.1}, Cluster(8, 2, 8, 1e9), GLOBAL, 1.25e4 + 1e5),
        ({}, Cluster(8, 2, 1, 1e9, shared=True), DEVICE, 1.25e4 + 625 + 100),
    ],
)
def test_the_longest_stage_saturates_first(changed, cluster, first, total):
    found = needs(1_000_000, Costs(**(vars(COSTS) | changed)), cluster)
    assert found.first == first and found.total == pytest.approx(total)


def test_more_devices_stop_helping_where_what_all_share_takes_longer():
    assert enough(COSTS, Cluster(8, 2, 8, 1e9)) == pytest.approx(0.1 / 3e-4)
    assert enough(COSTS, Cluster(8, 2, 8, 1e12)) == pytest.approx(0.1 / 1e-4)
    at = needs(10**6, COSTS, Cluster(334, 2, 8, 1e9))
    assert at.seconds[STORAGE] > at.seconds[DEVICE] > 0.99 * at.seconds[STORAGE]


def test_the_table_says_hours_and_what_is_first():
    costs = {**vars(COSTS), "step": {"gradient": 0.1, "smoothgrad, 16 samples": 1.6}}
    machine = {"cores": 4.0, "per_host": 8, "storage": 1e9, "shared": False}
    found = {**MADE, "size": 224, "batch": 8, "costs": costs, "machine": machine}
    text = tables.table("capacity", {"capacity": found})
    assert "| gradient, 1,280,000 | 8 | 4.44 | 0.11 | 1.07 | 0.11 | 0.04 | 4.48 | device | 0.4 |" in text
    assert "| gradient, 100,000,000 | 1,024 | 2.71 | 0.07 | 0.65 | 8.33 | 2.78 | 11.11 | storage | 30.0 |" in text
    assert "gradient: 333 devices" in text and "commit `0123456789ab`" in text


def test_the_costs_can_be_measured(tmp_path):
    assert 0 < capacity.measured_decode(28, repeats=3) < 1
    assert 0 < capacity.measured_finalize(8, tmp_path / "store", n=16) < 1


@pytest.mark.slow
def test_a_record_holds_every_cost():
    found = capacity.measured(32, 2, 5e9, network_name="resnet18", megabytes=0.5)
    assert set(found["costs"]["step"]) == set(capacity.METHODS)
    for method in capacity.METHODS:
        costs = capacity.costs_of(found, method)
        assert all(value > 0 for value in vars(costs).values())
        assert needs(1000, costs, capacity.cluster_of(found, 8)).total > 0
