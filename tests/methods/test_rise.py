"""RISE against NumPy for its own masks, against its expectation on a linear model, and against its own errors."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxplain._errors import InputError
from jaxplain.core.coarse_masks import shifted_masks
from jaxplain.core.imputation import NoisyLinear
from jaxplain.methods.rise import LEVELS, PROBE_STREAM, rise, rise_with_diagnostics
from jaxplain.testing import tol
from jaxplain_kernels.mask_blend import upsample

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
W, X, B = RNG.normal(size=(3, 6, 5, 2))


def curved(x):
    """Two scores that are not linear in the masks."""
    summed = jnp.sum(jnp.asarray(W) * x)
    return jnp.stack([jnp.tanh(summed), jnp.sum(jnp.square(x)) + summed])


def fine_masks(n, cells, keep, draws, shape=(6, 5), key=KEY):
    """The masks that RISE draws, stretched by the kernel that tests hold to the authors' code."""
    draw = shifted_masks(key, shape, cells, draws)
    masks, shifts = jax.vmap(lambda i: draw(i, jnp.float32(keep)))(jnp.arange(n, dtype=jnp.int32))
    return np.asarray(upsample(masks.astype(float), shifts, shape=shape))


def scores_under(masks, blanks):
    shown = [X * mask[..., None] + blank * (1 - mask[..., None]) for mask, blank in zip(masks, blanks, strict=True)]
    return np.asarray(jax.vmap(curved)(jnp.asarray(np.stack(shown))))


@pytest.mark.parametrize(("draws", "normalization"), [("independent", "expected"), ("low_discrepancy", "observed")])
def test_the_map_and_its_error_are_numpys_for_the_same_masks(x64, draws, normalization):
    n, keep, cells = 21, 0.4, (3, 2)
    keywords = {
        "n_samples": n,
        "cells": cells,
        "keep": keep,
        "draws": draws,
        "normalization": normalization,
        "chunk": 4,
    }
    run = partial(rise_with_diagnostics, curved, key=KEY, baseline=B, **keywords)
    got, figures = jax.jit(run)(jnp.asarray(X))
    masks = fine_masks(n, cells, keep, draws)
    scores = scores_under(masks, [B] * n)
    each = scores[:, :, None, None] * masks[:, None]
    weights = masks[:, None] if normalization == "observed" else np.full((n, 1, 1, 1), float(np.float32(keep)))
    want = each.sum(axis=0) / weights.sum(axis=0)
    limits = tol(np.float64, terms=n, scale=10.0, safety=64)
    np.testing.assert_allclose(got, np.broadcast_to(want[..., None], got.shape), **limits)
    plain = jax.jit(partial(rise, curved, key=KEY, baseline=B, **keywords))(jnp.asarray(X))
    np.testing.assert_allclose(plain, got, **limits)

    left = np.stack([(each - want * weights)[group::8].sum(axis=0) for group in range(8)])
    error = np.sqrt(8 / 7 * (left**2).sum(axis=0)) / weights.sum(axis=0)
    norms = [np.sqrt((values**2).sum(axis=(1, 2))) for values in (error, want)]
    np.testing.assert_allclose(figures["stderr"], norms[0] / norms[1], rtol=1e-10)


def test_a_fill_sees_every_mask(x64):
    n = 6
    keywords = {"n_samples": n, "cells": (3, 2), "normalization": "observed"}
    got = jax.jit(lambda x: rise(curved, x, key=KEY, baseline=NoisyLinear(0.0)(x, KEY), **keywords))(jnp.asarray(X))
    masks = fine_masks(n, (3, 2), 0.5, "independent")
    fill = jax.jit(jax.vmap(NoisyLinear(0.0)(jnp.asarray(X), KEY)))
    scores = scores_under(masks, np.asarray(fill(jnp.asarray(masks >= 0.5)[..., None])))
    want = np.tensordot(scores.T, masks, axes=1) / masks.sum(axis=0)
    np.testing.assert_allclose(got[..., 0], want, rtol=1e-8, atol=1e-8)


def every_mask(shape, cells, keep):
    """All masks at all shifts, and their probabilities."""
    lengths = [-(-size // n) for size, n in zip(shape, cells, strict=True)]
    bits = np.array(list(itertools.product((0, 1), repeat=int(np.prod(cells)))), float)
    shifts = np.array(list(itertools.product(*map(range, lengths))))
    masks = np.repeat(bits.reshape(-1, *cells), len(shifts), axis=0)
    kept = masks.sum(axis=tuple(range(1, masks.ndim)))
    chance = keep**kept * (1 - keep) ** (np.prod(cells) - kept) / len(shifts)
    return np.asarray(upsample(jnp.asarray(masks), jnp.asarray(np.tile(shifts, (len(bits), 1))), shape=shape)), chance


@pytest.mark.parametrize("draws", ["independent", "low_discrepancy"])
def test_on_a_linear_model_the_expectation_lies_within_the_stated_error(x64, draws):
    """The expectation is enumerated over all 16 masks at all 4 shifts.

    The means of 8 independent groups of 256 masks are normal, nearly, so of one direction the squared error over the
    stated one follows F(1, 7), and of several directions it has a shorter tail: failure probability 1e-6. With
    independent masks the error is also held to the enumerated variance: per pixel normal, 5.8 standard errors, 16
    pixels, 1e-7.
    """
    n, keep, shape, cells = 2048, 0.6, (4, 4), (2, 2)
    w = np.random.default_rng(5).normal(size=shape)
    f = lambda x: jnp.sum(jnp.asarray(w) * x) + 0.7  # noqa: E731
    keywords = {"n_samples": n, "cells": cells, "keep": keep, "draws": draws, "chunk": 64}
    run = partial(rise_with_diagnostics, f, key=KEY, baseline=jnp.zeros(shape), **keywords)
    got, figures = jax.jit(run)(jnp.ones(shape))
    masks, chance = every_mask(shape, cells, float(np.float32(keep)))
    each = ((masks * w).sum(axis=(1, 2)) + 0.7)[:, None, None] * masks / keep
    want = np.tensordot(chance, each, axes=1)
    stated = float(figures["stderr"]) * np.linalg.norm(got)
    assert np.linalg.norm(got - want) ** 2 < stated**2 * stats.f.ppf(1 - 1e-6, 1, 7)
    true = np.sqrt((np.tensordot(chance, each**2, axes=1) - want**2) / n)
    if draws == "independent":
        assert (np.abs(got - want) < 5.8 * true).all()
    else:  # shared-out cells take away what is additive in them, most of a linear model's variance
        assert np.linalg.norm(got - want) < 0.5 * np.linalg.norm(true)
        assert stated < 0.5 * np.linalg.norm(true)


def test_low_discrepancy_masks_keep_every_cell_equally_often():
    """Of 8 replicates of 16 masks, each keeps each cell 8 times."""
    draw = shifted_masks(KEY, (12, 12), (3, 3), "low_discrepancy")
    masks, shifts = jax.vmap(lambda i: draw(i, jnp.float32(0.5)))(jnp.arange(128, dtype=jnp.int32))
    for replicate in range(8):
        np.testing.assert_array_equal(np.asarray(masks)[replicate::8].sum(axis=0), np.full((3, 3), 8))
        np.testing.assert_array_equal(np.sort(np.asarray(shifts)[replicate::8], axis=0)[:, 0], np.repeat(range(4), 4))


def test_the_probability_is_the_one_under_which_the_score_varies_most(x64):
    """DIANNA's rule, for one image: the score's deviation over the same draws, at each level."""
    x, n_probe, cells = jnp.asarray(X), 12, (3, 2)

    def run(f, **knobs):
        return jax.jit(lambda x: rise(f, x, key=KEY, baseline=jnp.asarray(B), n_samples=6, cells=cells, **knobs))(x)

    for f in (curved, lambda x: jnp.exp(-jnp.sum(x**2) / 10)):
        spreads = []
        for level in LEVELS:
            masks = fine_masks(n_probe, cells, level, "independent", key=jax.random.fold_in(KEY, PROBE_STREAM))
            shown = [X * mask[..., None] + B * (1 - mask[..., None]) for mask in masks]
            scores = np.asarray(jax.vmap(f)(jnp.asarray(np.stack(shown)))).reshape(n_probe, -1)
            spreads.append(scores.std(axis=0).max())
        got, want = run(f, n_probe=n_probe), run(f, keep=float(LEVELS[np.argmax(spreads)]))
        np.testing.assert_allclose(got, want, **tol(np.float64, terms=6, scale=10.0))


def test_memory_does_not_grow_with_the_number_of_masks():
    x = jnp.zeros((32, 32, 3))

    def peak(n):
        run = partial(rise_with_diagnostics, jnp.sum, key=KEY, baseline=0 * x, n_samples=n, chunk=5)
        found = jax.jit(run).lower(x).compile().memory_analysis()
        return found.temp_size_in_bytes + found.output_size_in_bytes

    assert peak(10_000) <= 1.05 * peak(10)


def test_signals_volumes_and_single_channels_are_masked():
    for shape, cells in (((17, 2), (5,)), ((6, 5, 7, 1), (2, 3, 2)), ((6, 5, 2), (2, 2, 2))):
        x = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
        run = partial(rise, jnp.sum, key=KEY, baseline=0 * x, n_samples=5, cells=cells, normalization="observed")
        maps = jax.jit(run)(x)
        assert maps.shape == shape
        over_channels = np.array_equal(maps[..., 0], maps[..., -1])
        assert over_channels == (len(cells) < len(shape))


@pytest.mark.parametrize(
    ("cells", "words"),
    [((7, 7), r"cells \(7, 7\) do not fit the input \(6, 5, 2\)"), ((2,), "one entry for each"), ((0, 2), "1 to")],
)
def test_cells_that_do_not_fit_are_refused(cells, words):
    with pytest.raises(InputError, match=words):
        rise(curved, jnp.asarray(X, jnp.float32), key=KEY, baseline=jnp.zeros(X.shape), cells=cells)
