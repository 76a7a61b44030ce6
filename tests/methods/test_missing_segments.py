"""Numbers that no pixel of an image has are players that change nothing, whatever method asks for segments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import methods
from jaxplain.core.segments import Segments
from jaxplain.testing.tolerance import tol

LABELS = np.array([0, 1, 1, 2, 3, 3])
AMONG_MORE = np.array([0, 2, 2, 3, 5, 5])
"""The same segments among seven numbers."""
KEY = jax.random.key(0)


def score(x):
    return x[0] * x[1] * x[3] + jnp.tanh(x[2] + x[4]) * x[5] + x[1]


def both(name, **knobs):
    """Maps with four numbers and with seven."""
    x, run = jnp.linspace(1.0, 2.0, 6), getattr(methods, name)
    return [
        np.asarray(run(score, x, segments=Segments(jnp.asarray(labels), n), baseline=0 * x, **knobs))
        for labels, n in ((LABELS, 4), (AMONG_MORE, 7))
    ]


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("feature_ablation", {}),
        ("shapley_exact", {}),
        ("kernel_shap", {"key": KEY, "n_samples": 256}),
        ("lime", {"key": KEY, "n_samples": 128, "ridge": 0.0}),
    ],
)
def test_where_all_coalitions_are_evaluated_the_map_is_the_same(x64, name, knobs):
    want, got = both(name, **knobs)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=128, scale=np.abs(want).max(), safety=64))


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("kernel_shap", {"key": KEY, "n_samples": 9, "whole": False, "paired": False}),
        ("shapley_sampling", {"key": KEY, "n_samples": 3}),
        ("partition_shap", {"n_evaluations": 4}),
        ("partition_shap", {"n_evaluations": 4, "merges": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)}),
    ],
)
def test_where_they_are_not_the_map_still_has_the_whole_change(x64, name, knobs):
    want = score(jnp.linspace(1.0, 2.0, 6))
    x = jnp.linspace(1.0, 2.0, 6)
    got = getattr(methods, name)(
        score, x, segments=Segments(jnp.asarray(AMONG_MORE), 7), baseline=0 * x, divided=True, **knobs
    )
    np.testing.assert_allclose(jnp.sum(got), want, **tol(np.float64, terms=128, scale=float(want), safety=64))
