"""The error of stored maps, for any map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxplain._errors import InputError
from jaxplain.io.encoding import ERROR_BOUND, decode, encode

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5), elements=FLOATS))
def test_the_error_is_bounded_by_the_largest_value(maps):
    value, scale = encode(maps)
    assert value.dtype == np.float16 and scale.dtype == np.float32 and scale.shape == maps.shape[:1]
    got = decode(value, scale)
    largest = np.abs(maps.astype(np.float64)).max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    assert got.dtype == np.float32
    assert (np.abs(got.astype(np.float64) - maps) <= ERROR_BOUND * largest).all()
    assert (got[maps == 0] == 0).all()


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, (2, 3, 4), elements=st.floats(width=32)))
def test_float32_is_exact(maps):
    value, scale = encode(maps, "float32")
    np.testing.assert_array_equal(decode(value, scale), maps)


def test_maps_of_zeros_and_of_nan_and_single_bad_values():
    maps = np.zeros((4, 2, 2), np.float32)
    maps[1] = np.nan
    maps[2, 0] = (np.nan, 5)
    maps[3, 0] = (-np.inf, 5)
    value, scale = encode(maps)
    np.testing.assert_array_equal(scale, [1, 1, 5, 5])
    np.testing.assert_array_equal(decode(value, scale), maps)


def test_each_target_has_its_scale():
    maps = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32) * np.array([1, 1e6])[:, None, None]
    value, scale = encode(maps.astype(np.float32), leading=2)
    assert scale.shape == (3, 2)
    np.testing.assert_allclose(decode(value, scale), maps, atol=0, rtol=2e-2)


def test_blocks_do_not_show(monkeypatch):
    maps = np.random.default_rng(0).normal(size=(9, 4, 4)).astype(np.float32)
    whole = encode(maps)
    monkeypatch.setattr("jaxplain.io.encoding._BLOCK", 200)
    for a, b in zip(whole, encode(maps), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_unknown_encoding_is_named():
    with pytest.raises(InputError, match="float16"):
        encode(np.zeros((1, 2)), "float15")


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.floats(-1e6, 1e6, width=32)
    )
)
def test_every_entry_keeps_eleven_bits_of_itself(maps):
    exact = maps.astype(np.float64)
    largest = np.abs(exact).max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    # Quotient and product are rounded to float32 as well; half of the smallest float16 is 2^-25.
    bound = np.abs(exact) * (2.0**-11 + 2.0**-22) + largest * 2.0**-25 + np.finfo(np.float32).tiny
    assert (np.abs(decode(*encode(maps)) - exact) <= bound).all()
