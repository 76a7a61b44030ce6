"""Sobol' attribution: the Ishigami function in closed form, and NumPy's sums for the same masks."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxplain._errors import InputError
from jaxplain.core.low_discrepancy import unit_points
from jaxplain.methods.sobol import sobol, sobol_with_diagnostics
from jaxplain.testing import tol

KEY = jax.random.key(0)


def ishigami(x):
    """Of x in [0, 1], as a mask blends ones with zeros."""
    x = (2 * x - 1) * np.pi
    return jnp.sin(x[0]) + 7 * jnp.sin(x[1]) ** 2 + 0.1 * x[2] ** 4 * jnp.sin(x[0])


def ishigami_indices():
    first = [0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.0]
    both = 8 * 0.1**2 * np.pi**8 / 225
    variance = sum(first) + both
    total = [first[0] + both, first[1], both]
    return {"first": np.array(first) / variance, "total": np.array(total) / variance}


def test_the_closed_form_has_the_published_numbers():
    np.testing.assert_allclose(ishigami_indices()["total"], [0.5576, 0.4424, 0.2437], atol=1e-4)


WEIGHTS = np.array([1.0, -2.0, 0.5, 0.0])
FUNCTIONS = {
    "ishigami": (ishigami, 3, ishigami_indices()),
    "linear": (lambda x: jnp.sum(jnp.asarray(WEIGHTS) * x), 4, dict.fromkeys(("first", "total"), WEIGHTS**2 / 5.25)),
}


@pytest.mark.parametrize(
    ("name", "index", "estimator", "draws"),
    [
        ("ishigami", "total", "jansen", "low_discrepancy"),
        ("ishigami", "total", "saltelli", "independent"),
        ("ishigami", "first", "jansen", "independent"),
        ("ishigami", "first", "saltelli", "low_discrepancy"),
        ("linear", "first", "jansen", "low_discrepancy"),
    ],
)
def test_indices_in_closed_form_lie_within_their_stated_error(x64, name, index, estimator, draws):
    """Of 8 independent groups, so the squared error over the stated one has at most the tail of F(1, 7): 1e-6.

    An error of a fifth or more of the map would show little.
    """
    f, n_cells, want = FUNCTIONS[name]
    keywords = {"index": index, "estimator": estimator, "draws": draws, "n_samples": 2048, "chunk": 320}
    x = jnp.ones(n_cells)
    run = partial(sobol_with_diagnostics, f, key=KEY, baseline=0 * x, cells=(n_cells,), **keywords)
    got, figures = jax.jit(run)(x)
    stated = float(figures["stderr"]) * np.linalg.norm(got)
    assert np.linalg.norm(got - want[index]) ** 2 < stated**2 * stats.f.ppf(1 - 1e-6, 1, 7)
    assert figures["stderr"] < 0.2


@pytest.mark.parametrize(
    ("index", "estimator", "chunk"),
    [("total", "jansen", 3), ("total", "saltelli", 20), ("first", "jansen", 20), ("first", "saltelli", 3)],
)
def test_indices_are_numpys_for_the_same_masks(x64, index, estimator, chunk):
    rng = np.random.default_rng(0)
    w, x, b = rng.normal(size=(3, 5, 4, 2))
    n, cells, labels = 11, (2, 2), np.array([0, 0, 0, 1, 1])[:, None] * 2 + np.array([0, 0, 1, 1])

    def f(x):
        return jnp.stack([jnp.sum(jnp.asarray(w) * x) ** 2, jnp.tanh(jnp.sum(x) / 10)])

    keywords = {"n_samples": n, "cells": cells, "index": index, "estimator": estimator, "chunk": chunk}
    run = partial(sobol_with_diagnostics, f, key=KEY, baseline=jnp.asarray(b), **keywords)
    got, figures = jax.jit(run)(jnp.asarray(x))

    points = np.asarray(jax.vmap(unit_points(KEY, 8, "low_discrepancy"))(jnp.arange(n, dtype=jnp.int32)), float)
    clean = np.asarray(f(jnp.asarray(x)))

    def scores(masks):
        fine = masks[:, labels][..., None]
        return np.asarray(jax.vmap(f)(jnp.asarray(x * fine + b * (1 - fine)))) - clean

    a, b_rows = points[:, :4], points[:, 4:]
    of_a, of_b = scores(a), scores(b_rows)
    mean = np.concatenate([of_a, of_b]).mean(axis=0)
    variance = ((of_a - mean) ** 2 + (of_b - mean) ** 2) / 2
    indices, errors = [], []
    for cell in range(4):
        mixed = a.copy()
        mixed[:, cell] = b_rows[:, cell]
        of_mixed = scores(mixed)
        parts = {
            ("total", "jansen"): (of_a - of_mixed) ** 2 / 2,
            ("first", "jansen"): variance - (of_b - of_mixed) ** 2 / 2,
            ("total", "saltelli"): of_a * (of_a - of_mixed),
            ("first", "saltelli"): of_b * (of_mixed - of_a),
        }[index, estimator]
        found = parts.sum(axis=0) / variance.sum(axis=0)
        left = np.stack([(parts - found * variance)[group::8].sum(axis=0) for group in range(8)])
        indices.append(found)
        errors.append(np.sqrt(8 / 7 * (left**2).sum(axis=0)) / variance.sum(axis=0))
    want = np.array(indices).T[:, labels]
    limits = tol(np.float64, terms=n, scale=float(np.abs(want).max()), safety=512)
    np.testing.assert_allclose(got, np.repeat(want[..., None], 2, axis=-1), **limits)
    size, error = (np.sqrt((np.array(v).T[:, labels] ** 2).sum(axis=(1, 2))) for v in (indices, errors))
    np.testing.assert_allclose(figures["stderr"], error / size, rtol=1e-9)


def test_cells_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"sobol: cells \(8, 8\) do not fit the input \(6, 6, 1\)"):
        sobol(jnp.sum, jnp.ones((6, 6, 1)), key=KEY, baseline=jnp.zeros((6, 6, 1)))
