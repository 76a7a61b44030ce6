"""The one loop: every reducer against NumPy for every cut into chunks, accumulators, memory, keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxplain._errors import InputError, InputTypeError
from jaxplain._registry import check_key
from jaxplain.core.sampling import (
    image_key,
    largest,
    mean,
    moments,
    reduce_over,
    sample_key,
    total,
    weighted,
    wide,
)
from jaxplain.testing import tol

SAMPLES = np.random.default_rng(0).normal(loc=3.0, size=(23, 2, 3))
WEIGHTS = np.random.default_rng(1).uniform(size=23)
CUTS = [(1, None), (7, 1), (7, 3), (7, 7), (7, 100), (16, 8), (23, 5), (23, None)]


def samples(dtype):
    values = jnp.asarray(SAMPLES, dtype)
    return lambda i: {"a": values[i], "b": (values[i, 0, 0],)}


def sums(values, how):
    return {"a": how(values, axis=0), "b": (how(values[:, 0, 0], axis=0),)}


def compare(got, want, dtype, n):
    bound = tol(dtype, terms=n, scale=float(np.abs(SAMPLES).max()))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **bound), got, want)


@pytest.mark.parametrize(("n", "chunk"), CUTS)
def test_reducers_are_numpys(x64, n, chunk):
    values, fn = SAMPLES[:n], samples(jnp.float64)
    compare(reduce_over(fn, n, total, chunk=chunk), sums(values, np.sum), np.float64, n)
    compare(reduce_over(fn, n, mean, chunk=chunk), sums(values, np.mean), np.float64, n)
    compare(reduce_over(fn, n, largest, chunk=chunk), sums(values, np.max), np.float64, n)
    got = reduce_over(fn, n, moments, chunk=chunk)
    assert got.n == n
    compare(got.mean, sums(values, np.mean), np.float64, n)
    compare(got.m2, sums(values, lambda v, axis: np.sum((v - v.mean(axis)) ** 2, axis)), np.float64, n)
    weights = jnp.asarray(WEIGHTS)
    got = reduce_over(lambda i: (fn(i), weights[i]), n, weighted, chunk=chunk)
    compare(got, sums(values, lambda v, axis: np.average(v, axis=axis, weights=WEIGHTS[:n])), np.float64, n)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 45))
def test_every_sample_counts_once_whatever_the_cut(n, chunk):
    """Small whole numbers are added exactly, so equality is exact: sample i is 2^(i mod 3) + i."""
    want = sum(2 ** (i % 3) + i for i in range(n))
    fn = lambda i: (2 ** (i % 3) + i).astype(jnp.float32)  # noqa: E731
    assert float(reduce_over(fn, n, total, chunk=chunk)) == want
    assert float(reduce_over(fn, n, largest, chunk=chunk)) == max(2 ** (i % 3) + i for i in range(n))


def test_padding_is_never_seen():
    """Samples beyond the last one would be NaN."""
    values = jnp.asarray([1.0, -2.0, 3.0, -4.0, 5.0])
    fn = lambda i: jnp.where(i < 5, values[jnp.minimum(i, 4)], jnp.nan)  # noqa: E731
    for how, want in ((total, 3.0), (mean, 0.6), (largest, 5.0)):
        np.testing.assert_allclose(reduce_over(fn, 5, how, chunk=4), want, rtol=1e-6)
    np.testing.assert_allclose(reduce_over(fn, 5, moments, chunk=4).m2, 53.2, rtol=1e-6)
    np.testing.assert_allclose(reduce_over(lambda i: (fn(i), jnp.ones(())), 5, weighted, chunk=4), 0.6, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 11])
def test_the_total_has_the_derivatives_of_the_sum(x64, n):
    x = jnp.asarray(SAMPLES[0])

    def sample(x, i):
        return jnp.sin(x * (i + 1)), x[0]

    def summed(x):
        return reduce_over(lambda i: sample(x, i.astype(x.dtype)), n, total, chunk=3)

    def added(x):
        return jax.tree.map(lambda *values: sum(values), *(sample(x, float(i)) for i in range(n)))

    for transform in (jax.vmap, jax.jacrev, jax.jacfwd):
        got, want = (jax.jit(transform(f))(x) for f in (summed, added))
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(one, other, **tol(np.float64, terms=n, scale=n))


def test_nan_of_a_sample_is_not_hidden():
    fn = lambda i: jnp.where(i == 2, jnp.nan, 1.0)  # noqa: E731
    for how in (total, mean, largest):
        assert np.isnan(reduce_over(fn, 5, how, chunk=2)), how
    assert np.isnan(reduce_over(fn, 5, moments, chunk=2).mean)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32(dtype):
    """4,096 ones: summed in float16 they stop at 2,048, in bfloat16 at 256."""
    one = lambda i: jnp.ones((), dtype) + 0 * i.astype(dtype)  # noqa: E731
    for how, want in ((total, 4096), (mean, 1), (largest, 1)):
        got = reduce_over(one, 4096, how, chunk=64)
        assert got.dtype == jnp.float32 and float(got) == want
    found = reduce_over(one, 4096, moments, chunk=64)
    assert (found.mean.dtype, float(found.mean), float(found.m2)) == (jnp.float32, 1.0, 0.0)
    found = reduce_over(lambda i: (one(i), one(i)), 4096, weighted, chunk=64)
    assert found.dtype == jnp.float32 and float(found) == 1


def test_accumulators_are_float32_or_wider(x64):
    for dtype in ("bool", "int8", "int32", "float16", "bfloat16", "float32"):
        assert wide(jnp.zeros(2, dtype)).dtype == jnp.float32
    assert wide(jnp.zeros(2, jnp.float64)).dtype == jnp.float64


def test_moments_do_not_cancel():
    """Mean 1e4 and deviation 1: the textbook formula E x^2 - (E x)^2 loses all digits of the variance in float32."""
    values = np.random.default_rng(2).normal(1e4, 1.0, size=500).astype(np.float32)
    table = jnp.asarray(values)
    got = reduce_over(lambda i: table[i], 500, moments, chunk=7)
    np.testing.assert_allclose(got.m2 / 500, values.astype(np.float64).var(), rtol=1e-4)


@pytest.mark.parametrize("how", [total, mean, moments, largest, weighted], ids=lambda how: type(how).__name__)
def test_memory_does_not_grow_with_n(how):
    """Temporary memory of the compiled loop: 4,000 samples need as much as 40, larger chunks need more."""
    x = jnp.ones((64, 64))

    def bytes_for(n, chunk):
        def run(x, key):
            sample = lambda i: jnp.tanh(x + jax.random.normal(sample_key(key, i), x.shape))  # noqa: E731
            fn = (lambda i: (sample(i), jnp.ones(()))) if how is weighted else sample
            return reduce_over(fn, n, how, chunk=chunk)

        return jax.jit(run).lower(x, jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    few, many = bytes_for(40, 4), bytes_for(4000, 4)
    assert many == few
    assert many < 40 * x.nbytes  # not even a hundredth of what 4,000 samples would take
    assert bytes_for(4000, 16) > many


def test_gradients_go_through_all_differentiable_reducers():
    values = jnp.asarray(SAMPLES, jnp.float32)
    n = len(SAMPLES)

    def second_moment(scale, how):
        found = reduce_over(lambda i: scale * values[i], n, how, chunk=5)
        return jnp.sum(found.m2 if how is moments else found)

    size = tol(np.float32, terms=6 * n, safety=64)
    np.testing.assert_allclose(jax.grad(second_moment)(1.0, mean), SAMPLES.mean(0).sum(), **size)
    spread = ((SAMPLES - SAMPLES.mean(0)) ** 2).sum()
    np.testing.assert_allclose(jax.grad(second_moment)(1.0, moments), 2 * spread, **size)


def test_bad_counts_are_refused():
    for n, chunk in ((0, None), (3, 0), (-1, 2)):
        with pytest.raises(InputError, match="must be at least 1"):
            reduce_over(lambda i: i, n, total, chunk=chunk)


@pytest.mark.parametrize("chunk", [2, 8])
def test_the_function_is_traced_once(chunk):
    """A sample's function may be a network's gradient: tracing it for its shapes and again for the loop is dear."""
    calls = []

    def image(x):
        return reduce_over(lambda i: (calls.append(i), x * i.astype(x.dtype))[1], 8, total, chunk=chunk)

    got = jax.jit(jax.vmap(image))(jnp.ones((2, 3)))
    assert len(calls) == 1
    np.testing.assert_array_equal(got, jnp.full((2, 3), 28.0))


def test_keys_fold_in_both_words_and_the_sample():
    key = jax.random.key(0)
    keys = [image_key(key, jnp.asarray(words, jnp.uint32)) for words in ((0, 1), (1, 0), (0, 2), (2**32 - 1, 0))]
    keys += [sample_key(keys[0], jnp.int32(0)), sample_key(keys[0], jnp.int32(1))]
    assert len({tuple(np.asarray(jax.random.key_data(one)).tolist()) for one in keys}) == len(keys)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "got NoneType"),
        (0, "got int"),
        (np.zeros(2, np.uint32), "got ndarray"),
        (jnp.zeros(2, jnp.uint32), r"pass jax\.random\.key\(0\)"),
        (jax.random.split(jax.random.key(0), 3), r"must be one key, got the shape \(3,\)"),
    ],
    ids=["none", "int", "numpy", "raw", "several"],
)
def test_only_one_typed_key_is_taken(key, words):
    with pytest.raises(InputTypeError, match=words):
        check_key("here", key)
    check_key("here", jax.random.key(3, impl="rbg"))
