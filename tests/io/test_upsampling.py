"""Coarse maps: upsampled on reading as JAX upsamples them, and open to whoever reads the files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.encoding import ERROR_BOUND, encode
from jaxplain.io.ledger import Ledger, Marker
from jaxplain.io.manifest import create_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.store import open_store
from jaxplain.io.upsampling import METHODS, Upsampling
from jaxplain.testing.tolerance import tol

N, COARSE, FULL = 6, (3, 4), (7, 8)
MAPS = np.random.default_rng(0).normal(size=(N, 2, *COARSE)).astype(np.float32)
BILINEAR = Upsampling("bilinear", FULL, ("y", "x"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("coarse", "full"),
    [((7, 7), (224, 224)), ((6, 5), (12, 10)), ((3, 1), (10, 9)), ((8, 6, 5), (9, 9, 7)), ((5,), (5,))],
)
def test_reading_upsamples_as_jax_does(method, coarse, full):
    maps = np.random.default_rng(1).normal(size=(3, *coarse)).astype(np.float32)
    names = ("z", "y", "x")[-len(full) :]
    got = Upsampling(method, full, names)(maps)
    want = jax.image.resize(jnp.asarray(maps), (3, *full), method=method, antialias=False)
    assert got.dtype == np.float32
    if method == "nearest":
        np.testing.assert_array_equal(got, want)
    else:  # the places of the outputs are rounded, at up to `coarse` positions from the origin
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=max(coarse), scale=np.abs(maps).max()))


def test_an_output_never_exceeds_the_positions_that_it_averages():
    maps = MAPS.reshape(-1, *COARSE)
    full = BILINEAR(maps)
    bound = np.abs(maps).max(axis=(1, 2)) * (1 + 2**-20)
    assert (np.abs(full).max(axis=(1, 2)) <= bound).all()
    np.testing.assert_array_equal(BILINEAR(np.ones((1, *COARSE), np.float32)), np.ones((1, *FULL)))


def coarse_store(storage, attributes=None):
    """A finished store with maps of two targets at a layer's resolution."""
    create_manifest(storage, {"job": {}})
    value, scale = encode(MAPS, leading=2)
    dims = ("image", "target")
    attributes = BILINEAR.record() if attributes is None else attributes
    specs = [
        ArraySpec(
            "maps/cam/value", value.shape, value.dtype, (*dims, "coarse_y", "coarse_x"), 4, attributes=attributes
        ),
        ArraySpec("maps/cam/scale", scale.shape, scale.dtype, dims, 4),
    ]
    sink = StoreSink(storage)
    sink.create(specs)
    for spec, array in zip(specs, (value, scale), strict=True):
        for first in (0, 4):
            sink.write(spec.path, first, array[first : first + 4]).result()
    for shard in range(2):
        Ledger(storage).mark(Marker("cam", shard, 4 * shard, min(4, N - 4 * shard)))
    return open_store(storage.url)


def test_a_store_reads_coarse_maps_at_full_size_and_as_they_are(storage):
    maps = coarse_store(storage).maps("cam")
    assert maps.shape == (N, 2, *FULL) and maps.dims == ("image", "target", "y", "x")
    assert maps.coarse.shape == MAPS.shape and maps.coarse.dims == ("image", "target", "coarse_y", "coarse_x")
    stored = maps.coarse
    assert stored.coarse is stored
    largest = np.abs(MAPS).max(axis=(2, 3), keepdims=True)
    assert (np.abs(maps.coarse[:] - MAPS) <= ERROR_BOUND * largest).all()
    assert (np.abs(maps[:] - BILINEAR(MAPS)) <= (ERROR_BOUND + 2**-20) * largest).all()
    np.testing.assert_array_equal(maps[[5, 1]], maps[:][[5, 1]])
    np.testing.assert_array_equal(maps[2], maps[:][2])
    assert maps[[]].shape == (0, 2, *FULL)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"method": "cubic", "space": [7, 8], "dimensions": ["y", "x"]}, "cubic"),
        ({"method": "nearest", "space": [7, 0], "dimensions": ["y", "x"]}, "space"),
        ({"method": "nearest", "space": [7, 8], "dimensions": ["y"]}, "dimensions"),
        ({"method": "nearest", "space": 7, "dimensions": ["y"]}, "upsampling"),
        ({"space": [7]}, "method"),
        ("nearest", "upsampling"),
        ({"method": "nearest", "space": [1] * 4, "dimensions": list("abcd")}, "4 axes of space"),
    ],
)
def test_a_damaged_attribute_is_refused(storage, record, words):
    store = coarse_store(storage, {"upsampling": record})
    with pytest.raises(InputError, match=words):
        store.maps("cam")


def test_zarr_python_and_xarray_open_coarse_maps_with_names_and_what_to_do(local):
    zarr, xarray = pytest.importorskip("zarr"), pytest.importorskip("xarray")
    want = coarse_store(local).maps("cam")
    record = {"method": "bilinear", "space": list(FULL), "dimensions": ["y", "x"]}
    array = zarr.open_group(local.url, mode="r")["maps/cam/value"]
    assert array.shape == MAPS.shape and array.attrs["upsampling"] == record
    with xarray.open_zarr(local.url, group="maps/cam", consolidated=False) as opened:
        assert opened["value"].dims == ("image", "target", "coarse_y", "coarse_x")
        assert opened["value"].attrs["upsampling"] == record
        decoded = (opened["value"].astype("float32") * opened["scale"]).values
    np.testing.assert_array_equal(decoded, want.coarse[:])
    np.testing.assert_array_equal(Upsampling.of({"upsampling": record}, "here")(decoded), want[:])
