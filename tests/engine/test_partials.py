"""Moments left by shards: the same global maps as from stored maps, whatever the shards."""

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.aggregate.groups import Grouping, merge_groups
from jaxplain.core.maps import MapSteps
from jaxplain.engine.finalize import global_maps
from jaxplain.engine.partials import merged_maps, pack, partial_moments, unpack

N, LABELS = 40, 4


class Arrays:
    """Maps in memory, with the names of their axes."""

    def __init__(self, maps, dims):
        self.maps, self.dims, self.shape = maps, dims, maps.shape

    def __getitem__(self, rows):
        return self.maps[rows]


@pytest.mark.parametrize("targets", [False, True])
@pytest.mark.parametrize("shard", [7, 40])
def test_shards_without_maps_give_the_global_maps_of_stored_ones(targets, shard):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(N, *((LABELS,) if targets else ()), 3, 5, 2)).astype(np.float32)
    labels, predictions = rng.integers(-1, LABELS - 1, N), rng.integers(0, LABELS, N)
    status = (rng.random(N) < 0.1).astype(np.uint8)
    maps[status != 0] = np.nan
    grouping, steps = Grouping(LABELS, targets=targets), MapSteps()
    parts = []
    for start in range(0, N, shard):
        found: dict = {}
        for batch in range(start, min(start + shard, N), 4):
            rows = slice(batch, min(batch + 4, start + shard))
            part = partial_moments(
                maps[rows], labels[rows], predictions[rows], status[rows],
                grouping=grouping, steps=steps, channel_axis=True,
            )  # fmt: skip
            found = merge_groups(found, part)
        parts.append(unpack(pack(found)))
    got = merged_maps(parts, status, grouping=grouping, steps=steps, space=(3, 5), dimensions=("y", "x"))
    dims = ("image", *(("target",) if targets else ()), "y", "x", "channel")
    want = global_maps(Arrays(maps, dims), labels, predictions, status, n_labels=LABELS)
    assert got.groups == want.groups and got.dimensions == want.dimensions
    np.testing.assert_array_equal(got.count, want.count)
    np.testing.assert_allclose(got.mean, want.mean, rtol=1e-12)
    np.testing.assert_allclose(got.variance, want.variance, rtol=1e-11, atol=1e-14)
    assert got.attributes["reasons"] == {"label/3": "no images"}


def test_a_scale_over_the_data_set_is_refused():
    with pytest.raises(InputError, match="second pass"):
        partial_moments(
            np.ones((1, 2, 2)), np.zeros(1, int), np.zeros(1, int), np.zeros(1, int),
            grouping=Grouping(1), steps=MapSteps(scale="dataset_max"), channel_axis=False,
        )  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive", b"\x80\x04N."])
def test_other_bytes_are_refused(data):
    with pytest.raises(InputError, match="not the moments of a shard"):
        unpack(data)
