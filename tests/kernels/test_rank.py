"""Ranks in every form against NumPy's stable order, to the last tie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from jaxplain.core import ranking
from jaxplain_kernels.rank import rank
from jaxplain_kernels.rank.cases import SMALL

FORMS = ("argsort", "packed")
# Equal values, both zeros, subnormal numbers, infinities, NaN of both signs, and neighbors of one another.
AWKWARD = (0.0, -0.0, 1e-40, -1e-40, 2e-40, np.inf, -np.inf, np.nan, -np.nan, 1.0, np.nextafter(np.float32(1), 2), -1.0)


def expected(scores):
    """Rank by NumPy, row by row."""
    rows = np.asarray(scores)
    with np.errstate(invalid="ignore"):  # signaling NaN
        rows = rows.astype(np.int64 if np.issubdtype(rows.dtype, np.integer) else np.float64)
    return np.stack([ranking.rank(row) for row in rows.reshape(-1, rows.shape[-1])]).reshape(rows.shape)


def scores_of(shape, dtype, seed=0):
    """Draw scores with many ties, the awkward ones among them."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(jnp.dtype(dtype), np.integer):
        limits = np.iinfo(dtype)
        return jnp.asarray(rng.choice([limits.min, limits.max, 0, 1, 7, limits.max - 1], shape), dtype)
    values = np.where(rng.random(shape) < 0.5, rng.normal(size=shape), rng.choice(AWKWARD, shape))
    return jnp.asarray(values.astype(np.float32)).astype(dtype)


@pytest.mark.parametrize("implementation", ["auto", *FORMS])
@pytest.mark.parametrize("name", SMALL)
def test_every_form_gives_the_order_of_numpy(name, implementation):
    scores = scores_of(*SMALL[name])
    got = jax.jit(lambda scores: rank(scores, implementation=implementation))(scores)
    assert got.dtype == jnp.int32
    np.testing.assert_array_equal(got, expected(scores))


@pytest.mark.parametrize("implementation", FORMS)
def test_every_bit_pattern_of_half_has_its_place(implementation):
    patterns = jnp.asarray(np.random.default_rng(0).permutation(np.arange(1 << 16)).astype(np.uint16))
    for dtype in (jnp.float16, jnp.bfloat16):
        scores = lax.bitcast_convert_type(patterns, dtype)
        np.testing.assert_array_equal(rank(scores, implementation=implementation), expected(scores))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1 << 31, 0x7F800000, 0x7FC00000]), min_size=9, max_size=9)
)
def test_any_bits_of_float32_are_ranked_alike(bits):
    scores = lax.bitcast_convert_type(jnp.asarray(bits, jnp.uint32), jnp.float32)
    for implementation in FORMS:
        np.testing.assert_array_equal(rank(scores, implementation=implementation), expected(scores))


@pytest.mark.parametrize("implementation", FORMS)
def test_transformations_leave_the_ranks_alone(implementation):
    scores = scores_of((4, 3, 20), "float32")

    def own(scores):
        return rank(scores, implementation=implementation)

    want = expected(scores)
    np.testing.assert_array_equal(jax.vmap(own)(scores), want)
    np.testing.assert_array_equal(jax.vmap(jax.jit(own), in_axes=1, out_axes=1)(scores), want)
    np.testing.assert_array_equal(lax.map(own, scores), want)
    np.testing.assert_array_equal(lax.scan(lambda _, one: (_, jax.vmap(own)(one)), 0, scores)[1], want)
    slope = jax.grad(lambda scores: jnp.sum(jnp.cos(own(scores).astype(jnp.float32)) + 2 * scores))(scores)
    np.testing.assert_array_equal(slope, np.full(scores.shape, 2.0))


def test_double_precision_is_ranked_by_argsort(x64):
    scores = jnp.asarray([1.0, 1.0 + 1e-15, np.nan, -0.0, 0.0])
    np.testing.assert_array_equal(rank(scores), [1, 0, 4, 2, 3])
    assert rank(scores).dtype == jnp.int32
    with pytest.raises(NotImplementedError, match=r"rank: 'packed'.*float64.*exceed 64 bits.*'argsort'"):
        rank(scores, implementation="packed")


@pytest.mark.parametrize("implementation", FORMS)
def test_every_form_lowers_for_a_gpu(implementation):
    program = jax.jit(lambda scores: rank(scores, implementation=implementation))
    text = program.trace(jnp.zeros((40, 64))).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.sort") == 1
