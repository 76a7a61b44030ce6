"""Functions whose Shapley and Owen values are known by hand."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.testing.closed_forms import ClosedForm, Expected


def _of(values: Any, segments: Any, baseline: Any, **knobs: Any) -> Expected:
    return Expected(
        np.asarray(values, np.float64),
        {"segments": np.asarray(segments), "baseline": np.asarray(baseline, np.float64), **knobs},
    )


def _linear() -> ClosedForm:
    rng = np.random.default_rng(11)
    w, x, b = rng.normal(size=(2, 2, 3, 2)), rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3, 2))
    parts = w * (x - b)
    rows, columns = np.array([[0, 0, 0], [1, 1, 1]]), np.array([[0, 1, 2], [0, 1, 2]])
    by_row = np.broadcast_to(parts.sum(axis=(2, 3), keepdims=True), parts.shape)
    by_column = np.broadcast_to(parts.sum(axis=(1, 3), keepdims=True), parts.shape)
    each = np.arange(12).reshape(2, 3, 2)
    return ClosedForm(
        "two linear scores of segments",
        lambda x: jnp.sum(jnp.asarray(w) * x[None], axis=(1, 2, 3)) + 0.7,
        x,
        {
            "shapley_exact": (_of(by_row, rows, b), _of(by_column, columns, b), _of(by_row / 6, rows, b, divided=True)),
            "shapley_sampling": (
                _of(parts, each, b, n_samples=2),
                _of(by_column, columns, b, n_samples=2, antithetic=False),
                _of(by_column / 4, columns, b, n_samples=1, divided=True),
            ),
            "kernel_shap": (
                _of(parts, each, b, n_samples=5),
                _of(parts, each, b, n_samples=5, paired=False),
                _of(by_row / 6, rows, b, n_samples=5, divided=True),
            ),
            "partition_shap": (_of(parts, each, b), _of(by_column / 4, columns, b, divided=True)),
        },
    )


def _pairs() -> ClosedForm:
    """Return a game of pairs: each of two players has half of what they add together, in every form."""
    rng = np.random.default_rng(12)
    q, x, b = rng.normal(size=(6, 6)), rng.normal(size=6), rng.normal(size=6)
    q, own = q + q.T, np.arange(6)
    halves = (x - b) * (q @ (x + b)) / 2
    return ClosedForm(
        "quadratic form of players",
        lambda x: 0.5 * x @ jnp.asarray(q) @ x,
        x,
        {
            "shapley_exact": (_of(halves, own, b),),
            "shapley_sampling": (_of(halves, own, b, n_samples=1), _of(halves, own, b, n_samples=3)),
            "kernel_shap": (_of(halves, own, b, n_samples=1), _of(halves, own, b), _of(halves, own, b, paired=False)),
            "partition_shap": (_of(halves, own, b), _of(halves, own, b, merges=(0, 5, 1, 6, 7, 3, 2, 4, 8, 9))),
        },
    )


def _extremes(name: str, x: list[float], values: list[float]) -> ClosedForm:
    functions: dict[str, Callable[..., Any]] = {"minimum": jnp.min, "maximum": jnp.max, "product": jnp.prod}
    found = (_of(values, [0, 1], [0, 0]),)
    methods = ("shapley_exact", "shapley_sampling", "kernel_shap", "partition_shap")
    return ClosedForm(
        f"{name} of {x[0]:g} and {x[1]:g}", functions[name], np.array(x, np.float64), dict.fromkeys(methods, found)
    )


def _unanimity() -> ClosedForm:
    """Return a product of three: nobody adds anything before the last one."""
    own, zero, one = [0, 1, 2], np.zeros(3), (0, 1, 3, 2)
    return ClosedForm(
        "product of three",
        jnp.prod,
        np.array([2.0, 3.0, 4.0]),
        {
            "shapley_exact": (_of([8, 8, 8], own, zero),),
            "kernel_shap": (_of([8, 8, 8], own, zero),),
            "partition_shap": (_of([6, 6, 12], own, zero, merges=one), _of([6, 6, 12], own, zero)),
        },
    )


def _majority() -> ClosedForm:
    """Return the vote of three: who is first cut off from the other two never decides."""
    own, zero = [0, 1, 2], np.zeros(3)
    return ClosedForm(
        "majority of three",
        lambda x: jnp.clip(jnp.sum(x) - 1, 0, 1),
        np.ones(3),
        {
            "shapley_exact": (_of(np.full(3, 1 / 3), own, zero),),
            "kernel_shap": (_of(np.full(3, 1 / 3), own, zero),),
            "partition_shap": (
                _of([0.5, 0.5, 0], own, zero),
                _of([0, 0.5, 0.5], own, zero, merges=(1, 2, 3, 0)),
                _of(np.full(3, 1 / 3), own, zero, n_evaluations=2),
            ),
        },
    )


def _airport() -> ClosedForm:
    """Return the largest of five: all who need a stretch of the runway share its cost."""
    stretches = np.array([1.0, 2, 1, 3, 3])
    values = np.cumsum(stretches / np.arange(5, 0, -1))
    order = np.array([3, 0, 4, 1, 2])
    return ClosedForm(
        "largest of five",
        lambda x: jnp.max(jax.nn.relu(x)),
        np.cumsum(stretches)[order],
        {name: (_of(values[order], np.arange(5), np.zeros(5)),) for name in ("shapley_exact", "kernel_shap")},
    )


GAME_FORMS: tuple[ClosedForm, ...] = (
    _linear(),
    _pairs(),
    _extremes("minimum", [2, -2], [0, -2]),
    _extremes("minimum", [4, 2], [1, 1]),
    _extremes("maximum", [4, 2], [3, 1]),
    _extremes("product", [3, 2], [3, 3]),
    _unanimity(),
    _majority(),
    _airport(),
)
