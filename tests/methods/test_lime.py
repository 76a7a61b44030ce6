"""LIME: exact on what is linear in segments, equal to its formula written in NumPy, and honest about its error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError
from jaxplain.core.sampling import sample_key
from jaxplain.core.segments import as_segments, grid_segments
from jaxplain.methods import lime, lime_with_diagnostics
from jaxplain.testing import tol

SHAPE = (4, 6, 2)
LABELS = np.array([[0, 0, 1, 1, 2, 2], [0, 3, 3, 1, 2, 2], [4, 3, 3, 1, 4, 4], [4, 4, 4, 4, 4, 2]])
"""Five segments of other sizes, one of them in two pieces."""


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def linear(dtype=np.float64):
    """Three linear scores with what they read, and the coefficient of every segment."""
    w, x, baseline = draws(3, *SHAPE), draws(*SHAPE, seed=1), draws(*SHAPE, seed=2)
    change = (w * (x - baseline)).sum(axis=-1)
    exact = np.stack([change[:, segment == LABELS].sum(axis=-1) for segment in range(5)], axis=-1)
    weights = jnp.asarray(w, dtype)
    return lambda x: 7 + jnp.einsum("khwc,hwc->k", weights, x), jnp.asarray(x), jnp.asarray(baseline), exact


def curved(x):
    """A score that is far from linear in the segments."""
    return jnp.tanh(jnp.sum(x[:2])) + jnp.sum(x[0]) * jnp.sum(x[3]) / 10


def explained(f, x, *, seed=0, method=lime_with_diagnostics, **known):
    """The map and its figures, in one program."""
    return jax.jit(lambda x, key: method(f, x, key=key, **known))(x, jax.random.key(seed))


def hidden_scores(masks, x, baseline):
    shown = jnp.asarray(masks[:, LABELS][..., None])
    return np.asarray(jax.jit(jax.vmap(lambda kept: curved(jnp.where(kept, x, baseline))))(shown))


def fitted(masks, scores, *, weights, ridge):
    """Weighted ridge with a free intercept, as scikit-learn has it: centered, then least squares with added rows."""
    mean, score = weights @ masks / weights.sum(), weights @ scores / weights.sum()
    root = np.sqrt(weights)
    rows = np.concatenate([root[:, None] * (masks - mean), np.sqrt(ridge) * np.eye(masks.shape[1])])
    found = np.linalg.lstsq(rows, np.concatenate([root * (scores - score), np.zeros(masks.shape[1])]))[0]
    residual = scores - score - (masks - mean) @ found
    return found, 1 - weights @ residual**2 / (weights @ (scores - score) ** 2)


def weights_of(masks, distance, width):
    kept = masks.mean(axis=1)
    far = 1 - (np.sqrt(kept) if distance == "cosine" else kept)
    return np.sqrt(np.exp(-(far**2) / width**2))


@pytest.mark.parametrize(("distance", "width"), [("cosine", 0.25), ("hamming", 0.25), ("cosine", 25.0)])
def test_all_masks_give_the_coefficients_of_a_model_that_is_linear_in_segments(x64, distance, width):
    f, x, baseline, exact = linear()
    known = {"segments": LABELS, "baseline": baseline, "n_samples": 32, "ridge": 0.0}
    got, figures = explained(f, x, **known, distance=distance, width=width)
    np.testing.assert_allclose(got, exact[:, LABELS][..., None] * np.ones(2), **tol(np.float64, terms=32, safety=64))
    np.testing.assert_array_equal(figures["stderr"], 0)
    np.testing.assert_allclose(figures["r2"], 1, **tol(np.float64, terms=32))


def test_a_small_ridge_and_sampled_masks_come_as_near_as_the_ridge_lets_them(x64):
    """The pull of the ridge is about ridge / (weight of the masks / 4): here below 1e-8."""
    f, x, baseline, exact = linear()
    got, _ = explained(f, x, segments=LABELS, baseline=baseline, n_samples=30, ridge=1e-8)
    np.testing.assert_allclose(got[..., 0], exact[:, LABELS], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("width", [0.25, 0.5])
def test_a_product_of_two_segments_by_hand(x64, width):
    """Score a b where both are shown, else 0: with w_k the weight of k shown, a b (w_1 + w_0) / (w_1 + w_0 w_1 + 2 w_0)
    for each. With equal weights that is a b / 2."""
    one, none = np.exp(-((1 - np.sqrt(0.5)) ** 2) / (2 * width**2)), np.exp(-1 / (2 * width**2))
    known = {"segments": np.arange(2), "baseline": jnp.zeros(2), "ridge": 0.0, "n_samples": 4}
    got, _ = explained(lambda x: x[0] * x[1], jnp.array([2.0, 3.0]), **known, width=width)
    np.testing.assert_allclose(
        got, 6 * (one + none) / (one + none * one + 2 * none), **tol(np.float64, terms=4, safety=64)
    )
    equal, _ = explained(lambda x: x[0] * x[1], jnp.array([2.0, 3.0]), **known, width=1e6)
    np.testing.assert_allclose(equal, 3.0, rtol=1e-9)


@pytest.mark.parametrize(("distance", "ridge"), [("cosine", 1.0), ("hamming", 0.5)])
def test_sampled_masks_give_the_ridge_regression_of_the_formula(x64, distance, ridge):
    x, baseline = jnp.asarray(draws(*SHAPE, seed=1)), jnp.asarray(draws(*SHAPE, seed=2))
    draw = jax.jit(jax.vmap(lambda i: jax.random.bernoulli(sample_key(jax.random.key(4), i), 0.5, (5,))))
    masks = np.array(draw(np.arange(25)))
    masks[0] = True
    scores = hidden_scores(masks, x, baseline)
    weights = weights_of(masks, distance, 0.25)
    want, r2 = fitted(masks.astype(float), scores, weights=weights, ridge=ridge)
    known = {"segments": LABELS, "baseline": baseline, "distance": distance, "ridge": ridge}
    got, figures = explained(curved, x, seed=4, **known, n_samples=25, chunk=4)
    np.testing.assert_allclose(got[..., 1], want[LABELS], **tol(np.float64, terms=25, safety=64))
    np.testing.assert_allclose(figures["r2"], r2, **tol(np.float64, terms=25, safety=64))
    plain = explained(curved, x, seed=4, method=lime, **known, n_samples=25)
    np.testing.assert_allclose(plain, got, **tol(np.float64, terms=25, safety=64))


def test_an_enumerated_mask_counts_as_often_as_it_would_be_drawn(x64):
    """96 samples of 32 masks are each mask three times beside one ridge."""
    x, baseline = jnp.asarray(draws(*SHAPE, seed=1)), jnp.asarray(draws(*SHAPE, seed=2))
    masks = (np.arange(32)[:, None] >> np.arange(5)) & 1
    scores = hidden_scores(masks == 1, x, baseline)
    want, _ = fitted(masks.astype(float), scores, weights=3 * weights_of(masks, "cosine", 0.25), ridge=1.0)
    got, _ = explained(curved, x, segments=LABELS, baseline=baseline, n_samples=96)
    np.testing.assert_allclose(got[..., 0], want[LABELS], **tol(np.float64, terms=32, safety=64))


def test_the_standard_error_is_that_of_other_keys():
    """Over 300 keys the squared distance from the map of all masks has the mean of the squared error that is stated.

    A squared distance in 8 directions has a standard deviation of half its mean, so the mean over 300 keys has 3 %; the
    ratio leaves 0.7 to 1.4 by chance with probability below 1e-6. The jackknife itself is a few percent too large.
    """
    labels, x = grid_segments((4, 4), (4, 2)), jnp.asarray(draws(4, 4, 1, seed=5), jnp.float32)
    known = {"segments": as_segments("test", labels, x.shape), "baseline": jnp.zeros_like(x), "ridge": 1e-3}
    exact, _ = explained(curved, x, **known, n_samples=256)

    def drawn(number):
        got, figures = lime_with_diagnostics(
            curved, x, key=jax.random.fold_in(jax.random.key(1), number), **known, n_samples=200
        )
        size = jnp.linalg.norm(got)
        return jnp.square(jnp.linalg.norm(got - exact)), jnp.square(figures["stderr"] * size)

    squared, stated = jax.jit(jax.vmap(drawn))(jnp.arange(300))
    assert 0.7 < float(jnp.mean(stated) / jnp.mean(squared)) < 1.4


def test_a_constant_score_gives_zero_everywhere():
    known = {"segments": LABELS, "baseline": jnp.zeros(SHAPE), "n_samples": 20}
    got, figures = explained(lambda x: 5.0 + 0 * jnp.sum(x), jnp.ones(SHAPE), **known)
    np.testing.assert_array_equal(got, 0)
    assert figures["stderr"] == 0 and np.isnan(figures["r2"])


def test_too_few_masks_give_no_error_and_without_a_ridge_no_map():
    """Four rows cannot determine five coefficients and an intercept; the ridge takes the smallest that fit."""
    known = {"segments": LABELS, "baseline": jnp.zeros(SHAPE), "n_samples": 4}
    got, figures = explained(curved, jnp.ones(SHAPE), **known)
    assert np.isfinite(got).all() and np.isnan(figures["stderr"])
    assert np.isnan(explained(curved, jnp.ones(SHAPE), **known, ridge=0.0)[0]).all()


def test_hundreds_of_segments_are_solved_in_float32():
    """The relative error of a linear model of 256 segments from 2000 masks is that of rounding and of the ridge."""
    w, labels = jnp.asarray(draws(16, 16, 1, seed=7), jnp.float32), np.arange(256).reshape(16, 16)
    known = {"segments": labels, "baseline": jnp.zeros_like(w), "ridge": 1e-3, "n_samples": 2000, "chunk": 100}
    got = explained(lambda x: 100 + jnp.sum(w * x), jnp.ones_like(w), **known, method=lime)
    assert float(jnp.linalg.norm(got - w) / jnp.linalg.norm(w)) < 1e-4


def test_memory_does_not_grow_with_the_number_of_masks():
    x = jnp.ones((64, 64, 3))
    labels = as_segments("test", grid_segments((64, 64), (4, 4)), x.shape)

    def peak(n):
        explain = jax.jit(
            lambda x, key: lime(curved, x, key=key, segments=labels, baseline=0 * x, n_samples=n, chunk=5)
        )
        return explain.lower(x, jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    assert peak(10_000) - peak(10) <= 2 * 4 * 2000  # the numbers of the first samples of 2000 chunks


@pytest.mark.parametrize(("labels", "words"), [(LABELS + 1, "without gaps"), (LABELS[:3], "do not fit an example")])
def test_segments_that_do_not_fit_are_refused(labels, words):
    with pytest.raises(InputError, match=f"lime: segments .*{words}"):
        lime(curved, jnp.ones(SHAPE), key=jax.random.key(0), segments=labels, baseline=jnp.zeros(SHAPE))
