"""From a raw map to a map of importance: every word, for NumPy in float64 and for JAX, against a loop over maps."""

from itertools import product
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.core.maps import MapSteps, Pool, Scale, Sign, divide, pool, scale, sign
from jaxplain.testing import tol

RAW = np.random.default_rng(0).normal(size=(3, 2, 4, 5, 3))  # images, targets, h, w, channels
RAW[0, 0] = 0  # a constant model
RAW[0, 1, :, :, 1:] = 0
RAW[1, 0] = -np.abs(RAW[1, 0])  # nothing positive
RAW[1, 1] = 0
RAW[1, 1, 2, 3, 0] = 7.0  # one pixel: the 99th percentile lies between it and zero
LIBRARIES = {"numpy": np.asarray, "jax": lambda maps: jnp.asarray(maps, jnp.float32)}


def signed(one, how):
    return {"signed": one, "positive": np.where(one > 0, one, 0), "absolute": np.abs(one)}[how]


def pooled(one, how):
    by_pixel = one.reshape(-1, one.shape[-1])
    reduce = {"sum": sum, "mean": np.mean, "max": lambda v: max(v, key=abs), "norm": lambda v: np.sqrt(sum(v * v))}
    return np.array([reduce[how](values) for values in by_pixel]).reshape(one.shape[:-1])


def scaled(one, how):
    size = np.sort(np.abs(one).ravel())
    place = 0.99 * (size.size - 1)
    low = int(place)
    p99 = size[low] + (place - low) * (size[min(low + 1, size.size - 1)] - size[low])
    divisor = {"max": size[-1], "mass": size.sum(), "p99": p99}.get(how, 1.0)
    return one / divisor if divisor else np.zeros_like(one)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("how_sign", "how_pool", "how_scale"), [*product(*map(get_args, (Sign, Pool, Scale)))])
def test_all_words_against_a_loop(library, how_sign, how_pool, how_scale):
    maps = LIBRARIES[library](RAW)
    steps = MapSteps(how_sign, how_pool, how_scale)
    got = steps(maps, channel_axis=True, map_axes=2)
    want = np.empty(RAW.shape[:-1])
    for index in np.ndindex(RAW.shape[:2]):
        want[index] = scaled(pooled(signed(RAW[index], how_sign), how_pool), how_scale)
    assert type(got) is type(maps) and got.dtype == maps.dtype
    assert steps.per_dataset == (how_scale in ("dataset_max", "dataset_p99"))
    assert np.isfinite(got).all() and not np.any(got[0, 0])
    size = np.abs(want).max(axis=(-1, -2), keepdims=True) + 1e-30
    np.testing.assert_allclose(got / size, want / size, **tol(maps.dtype, terms=60))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("how", get_args(Scale))
def test_maps_without_channels_and_of_any_number_of_axes(library, how):
    raw = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    for axes in (1, 2, 3):
        got = MapSteps("signed", "sum", how)(LIBRARIES[library](raw), channel_axis=False, map_axes=axes)
        flat = raw.reshape(-1, *raw.shape[4 - axes :])
        want = np.stack([scaled(one, how) for one in flat]).reshape(raw.shape)
        np.testing.assert_allclose(got, want, **tol(got.dtype, terms=60, scale=8))


def test_the_default_divides_absolute_sums_by_their_maximum():
    got = MapSteps()(RAW, channel_axis=True, map_axes=2)
    want = np.abs(RAW[2]).sum(-1)
    np.testing.assert_allclose(got[2], want / want.max(axis=(-1, -2), keepdims=True), rtol=1e-12)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_largest_magnitude_keeps_its_sign_and_the_first_wins_a_tie(library):
    maps = LIBRARIES[library](np.array([[1.0, -3.0, 2.0], [2.0, -2.0, 1.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(pool(maps, "max"), [-3, 2, 0])


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_percentile_of_zero_gives_a_zero_map(library):
    maps = np.zeros((20, 20))
    maps[3, 4] = 5.0
    assert not np.any(scale(LIBRARIES[library](maps), "p99", axes=2))


def test_steps_are_compiled_mapped_and_differentiated():
    maps = jnp.asarray(RAW, jnp.float32)
    for how in get_args(Scale):
        steps = MapSteps("absolute", "norm", how)
        one = lambda m, steps=steps: steps(m, channel_axis=True, map_axes=2)  # noqa: E731
        together = one(maps)
        np.testing.assert_allclose(jax.jit(one)(maps), together, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(jax.vmap(jax.vmap(one))(maps), together, rtol=1e-5, atol=1e-7)
    gradient = jax.grad(lambda m: jnp.sum(scale(abs(m), "mass", axes=2) ** 2))(jnp.zeros((4, 5)))
    assert np.isfinite(gradient).all()


def test_tiny_and_huge_maps_scale_like_others():
    for size in (1e-300, 1e300):
        got = scale(size * RAW[2, 0, ..., 0], "max", axes=2)
        np.testing.assert_allclose(got, scale(RAW[2, 0, ..., 0], "max", axes=2), rtol=1e-12)


def test_nan_is_not_hidden():
    maps = RAW[2, 0, ..., 0].copy()
    maps[1, 1] = np.nan
    for how in ("max", "mass", "p99"):
        assert np.isnan(scale(maps, how, axes=2)).all()
    assert np.isnan(divide(np.array([1.0, 2.0]), np.array(np.nan))).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: MapSteps(sign="abs"), "unknown sign 'abs'; did you mean 'absolute'"),
        (lambda: MapSteps(pool="average"), "unknown pool 'average'"),
        (lambda: MapSteps(scale="p95"), "unknown scale 'p95'; did you mean 'p99'"),
        (lambda: sign(RAW, "negative"), "unknown sign 'negative'"),
        (lambda: pool(RAW, "average"), "unknown pooling 'average'"),
        (lambda: scale(RAW, "dataset_max", axes=2), "unknown scale 'dataset_max'"),
    ],
)
def test_unknown_words_name_the_nearest(call, words):
    with pytest.raises(InputError, match=words):
        call()
