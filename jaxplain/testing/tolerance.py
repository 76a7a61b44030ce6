"""Tolerances that follow from the arithmetic: the dtype's spacing and the number of terms summed."""

import math
from typing import Any, TypedDict

import jax.numpy as jnp


class Tolerance(TypedDict):
    """Keywords of ``np.testing.assert_allclose``."""

    rtol: float
    atol: float


def tol(dtype: Any, *, terms: int = 1, scale: float = 1.0, safety: float = 8.0) -> Tolerance:
    """Tolerances for a result of ``dtype`` that sums ``terms`` rounded values.

    ``rtol = safety * eps * sqrt(terms)``: independent roundings grow like a random walk, and ``safety`` covers
    the constant. ``atol = rtol * scale`` covers cancellation: a sum near zero is as accurate as its terms are large.

    Args:
        dtype: Floating dtype of the computed result.
        terms: Number of values accumulated (samples, pixels or products), at least 1.
        scale: Typical magnitude of one of the terms; the unit of the absolute tolerance.
        safety: Factor on the random-walk estimate.

    Returns:
        ``{"rtol": ..., "atol": ...}``, to be passed on to ``np.testing.assert_allclose``.

    Example:
        >>> tol("float32", terms=16)["rtol"] < 1e-5
        True
    """
    rtol = safety * float(jnp.finfo(dtype).eps) * math.sqrt(max(1, terms))
    return {"rtol": rtol, "atol": rtol * scale}
