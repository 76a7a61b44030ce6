"""Global maps against a two-pass float64 computation over the decoded stored maps, for any way the store came about."""

import functools
import itertools

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.core.maps import MapSteps
from jaxplain.engine import finalize as module
from jaxplain.engine.finalize import finalize, global_maps
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.encoding import encode
from jaxplain.io.groups import write_groups
from jaxplain.io.ledger import Ledger, Marker
from jaxplain.io.manifest import create_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage
from jaxplain.io.store import Store

N, LABELS, SPACE = 37, 4, (5, 6)
numbers = itertools.count()


class Arrays:
    """Maps in memory, with the names of their axes."""

    def __init__(self, maps, dims):
        self.maps, self.dims, self.shape = maps, dims, maps.shape

    def __getitem__(self, rows):
        return self.maps[rows]


def images(targets=False, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    shape = (N, *((LABELS,) if targets else ()), *SPACE, *((channels,) if channels else ()))
    dims = ("image", *(("target",) if targets else ()), "y", "x", *(("c",) if channels else ()))
    maps = rng.normal(size=shape).astype(np.float32)
    labels, predictions = rng.integers(-1, LABELS - 1, N), rng.integers(0, LABELS, N)
    status = np.where(rng.random(N) < 0.15, 2, 0).astype(np.uint8)
    maps[status != 0] = np.nan
    return Arrays(maps, dims), labels, predictions, status


def two_pass(maps, members, steps, channels):
    """Mean and variance of the members' maps by the book, in float64; written without the library's steps."""
    x = np.abs(maps[members].astype(np.float64))
    x = x.sum(axis=-1) if channels else x
    if steps.scale == "max":
        x = x / x.max(axis=(-2, -1), keepdims=True)
    return x.mean(axis=0), ((x - x.mean(axis=0)) ** 2).mean(axis=0)


def check(got, group, want):
    mean, variance = got.mean[got.groups.index(group)], got.variance[got.groups.index(group)]
    np.testing.assert_allclose(mean, want[0], rtol=1e-12)
    assert (np.abs(variance - want[1]) <= 1e-12 * np.maximum(want[1], want[0] ** 2)).all()


@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("scale", ["none", "max"])
@pytest.mark.parametrize("block", [1, 3, 1000])
def test_equals_two_passes_over_the_maps_for_any_block(channels, scale, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_VALUES", block * 30 * max(1, channels))
    maps, labels, predictions, status = images(channels=channels)
    steps = MapSteps(scale=scale)
    got = global_maps(maps, labels, predictions, status, n_labels=LABELS, steps=steps)
    for label in range(LABELS - 1):
        check(got, f"label/{label}", two_pass(maps.maps, (labels == label) & (status == 0), steps, channels))
        check(got, f"prediction/{label}", two_pass(maps.maps, (predictions == label) & (status == 0), steps, channels))
    check(got, "overall/micro", two_pass(maps.maps, status == 0, steps, channels))
    means = [got.mean[label] for label in range(LABELS - 1)]
    np.testing.assert_allclose(got.mean[got.groups.index("overall/macro")], np.mean(means, axis=0), rtol=1e-12)
    assert got.attributes["images"] == (status == 0).sum() and got.attributes["status"]["2"] == (status == 2).sum()


def test_a_label_without_images_is_nan_with_a_reason():
    maps, labels, predictions, status = images()
    got = global_maps(maps, labels, predictions, status, n_labels=LABELS)
    assert got.count[3] == 0 and np.isnan(got.mean[3]).all() and np.isnan(got.variance[3]).all()
    assert got.attributes["reasons"] == {"label/3": "no images"}
    assert np.isfinite(got.mean[[0, 1, 2, -1, -2]]).all()


def test_quarantined_maps_never_enter_and_a_faulty_map_stays_in_its_groups():
    maps, labels, predictions, status = images()
    clean = global_maps(maps, labels, predictions, status, n_labels=LABELS)
    maps.maps[status != 0] = 1e30
    np.testing.assert_array_equal(clean.mean, global_maps(maps, labels, predictions, status, n_labels=LABELS).mean)
    row = np.flatnonzero((status == 0) & (labels == 1))[0]
    maps.maps[row] = np.nan
    for scale in ("max", "dataset_p99"):
        got = global_maps(maps, labels, predictions, status, n_labels=LABELS, steps=MapSteps(scale=scale))
        assert got.attributes["nan_maps"] == 1
        assert np.isnan(got.mean[1]).all() and np.isfinite(got.mean[[0, 2]]).all()


@pytest.mark.parametrize(("scale", "q"), [("dataset_max", 100), ("dataset_p99", 99)])
def test_data_set_scales_divide_by_one_exact_number(scale, q):
    maps, labels, predictions, status = images(channels=0)
    got = global_maps(maps, labels, predictions, status, n_labels=LABELS, steps=MapSteps(scale=scale))
    sound = np.abs(maps.maps[status == 0])
    divisor = np.percentile(sound, q, method="inverted_cdf")
    assert got.attributes["dataset_scale"] == divisor
    np.testing.assert_allclose(got.mean[-1], sound.astype(np.float64).mean(axis=0) / np.float64(divisor), rtol=1e-12)


def test_target_axis_with_several_labels_per_image():
    maps, _, _, status = images(targets=True)
    rng = np.random.default_rng(1)
    labels, predictions = (rng.random((N, LABELS)) < (0.6, 0.3, 0.2, 0.0)).astype(np.uint8), rng.integers(0, LABELS, N)
    got = global_maps(maps, labels, predictions, status, n_labels=LABELS, exclude=(0,))
    for label in range(3):
        chosen = (labels[:, label] == 1) & (status == 0)
        check(got, f"label/{label}", two_pass(maps.maps[:, label], chosen, MapSteps(), 2))
    np.testing.assert_allclose(got.mean[got.groups.index("overall/macro")], got.mean[1:3].mean(axis=0), rtol=1e-12)
    assert got.count[got.groups.index("overall/micro")] == got.count[:4].sum()
    with pytest.raises(InputError, match="4 targets but there are 7 labels"):
        global_maps(maps, labels, predictions, status, n_labels=7)


def stored(shard_rows, order, dtype="float16"):
    """Write the same maps in shards of another size, in another order."""
    maps, labels, predictions, status = images()
    storage = Storage.open(f"memory://finalize{next(numbers)}/")
    create_manifest(storage, {"job": {}})
    sink, ledger = StoreSink(storage), Ledger(storage)
    value, scale = encode(maps.maps, dtype)
    fields = {"maps/m/value": (value, maps.dims), "maps/m/scale": (scale, ("image",))}
    for name, field in (("label", labels), ("prediction", predictions), ("status", status)):
        fields[f"rows/{name}"] = (field, ("image",))
    fields = {path: pair for path, pair in fields.items() if pair[0] is not None}
    sink.create([ArraySpec(path, v.shape, v.dtype, dims, shard_rows) for path, (v, dims) in fields.items()])
    shards = -(-N // shard_rows)
    for shard in np.random.default_rng(order).permutation(shards):
        first = int(shard) * shard_rows
        for path, (values, _) in fields.items():
            sink.write(path, first, values[first : first + shard_rows]).result()
        for name in ("rows", "m"):
            ledger.mark(Marker(name, int(shard), first, len(value[first : first + shard_rows])))
    return Store(storage)


def test_bit_identical_for_any_shard_size_and_order_of_writing():
    results = []
    for shard_rows, order in [(37, 0), (8, 1), (8, 2), (5, 3)]:
        store = stored(shard_rows, order)
        write = functools.partial(write_groups, store.storage)
        finalize(store, write, methods=("m",), n_labels=LABELS)
        finalize(store, write, methods=("m",), n_labels=LABELS)
        results.append(store.globals("m"))
    for other in results[1:]:
        for field in ("count", "mean", "variance"):
            np.testing.assert_array_equal(results[0][field], other[field])
    decoded = store.maps("m")[:]
    _, labels, _, status = images()
    want = two_pass(decoded, (labels == 0) & (status == 0), MapSteps(), 2)
    np.testing.assert_allclose(results[0]["mean"][0], want[0], rtol=1e-12)
    assert results[0]["attributes"]["steps"] == {"sign": "absolute", "pool": "sum", "scale": "max"}
    assert results[0]["groups"][-2:] == ["overall/macro", "overall/micro"]


def test_unfinished_shards_are_named():
    store = stored(8, 0)
    store.ledger.unmark("m", 2)
    with pytest.raises(InputError, match="shards 2 are not finished"):
        finalize(store, functools.partial(write_groups, store.storage), methods=("m",), n_labels=LABELS)


def test_events_count_rows():
    maps, labels, predictions, status = images()
    seen = []
    global_maps(maps, labels, predictions, status, n_labels=LABELS, watch=seen.append)
    assert sum(event.units for event in seen) == N
