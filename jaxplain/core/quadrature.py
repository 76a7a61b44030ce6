"""Quadrature rules on [0, 1]: nodes and weights that sum to one, in float64 on the host."""

from typing import Literal, get_args

import numpy as np

from jaxplain._errors import InputError, unknown

Rule = Literal["gauss_legendre", "midpoint", "trapezoid", "left", "right"]

STEPS = 4
"""Of Newton's method; the first guess is right to O(1 / n^4), and every step doubles the digits."""


def nodes_and_weights(rule: Rule, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n nodes in [0, 1] and their weights.

    Gauss-Legendre integrates polynomials up to degree 2n - 1 exactly; midpoint and trapezoid are of second order,
    left and right of first.

    Args:
        rule: Name of the rule.
        n: Number of nodes; a trapezoid needs at least 2.

    Raises:
        InputError: The rule is unknown or n too small.

    Example:
        >>> nodes, weights = nodes_and_weights("midpoint", 2)
        >>> nodes.tolist(), weights.tolist()
        ([0.25, 0.75], [0.5, 0.5])
    """
    if n < (2 if rule == "trapezoid" else 1):
        raise InputError(f"quadrature: the {rule} rule needs more than {n} nodes; raise n_steps.")
    even = np.full(n, 1 / n)
    match rule:
        case "gauss_legendre":
            return _gauss_legendre(n)
        case "midpoint":
            return (np.arange(n) + 0.5) / n, even
        case "left":
            return np.arange(n) / n, even
        case "right":
            return (np.arange(n) + 1) / n, even
        case "trapezoid":
            weights = np.full(n, 1 / (n - 1))
            weights[[0, -1]] /= 2
            return np.linspace(0, 1, n), weights
    raise unknown("quadrature", "rule", rule, get_args(Rule))


def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the roots of the n-th Legendre polynomial and their weights, brought to [0, 1].

    By Newton's method from Tricomi's approximation of the roots (Hale and Townsend 2013, doi:10.1137/120889873). Memory
    grows with n, where NumPy's rule takes the eigenvalues of a matrix of n^2 entries.
    """
    k = np.arange(1, (n + 1) // 2 + 1)
    upper = (1 - (n - 1) / (8 * n**3)) * np.cos(np.pi * (4 * k - 1) / (4 * n + 2))
    for _ in range(STEPS):
        value, slope = _legendre(n, upper)
        upper = upper - value / slope
    _, slope = _legendre(n, upper)
    half = 1 / ((1 - upper**2) * slope**2)
    middle = n // 2  # the other half mirrors it; of an odd n the last root is the middle one
    nodes, weights = np.concatenate([-upper, upper[:middle][::-1]]), np.concatenate([half, half[:middle][::-1]])
    return (nodes + 1) / 2, weights / weights.sum()


def _legendre(n: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the n-th Legendre polynomial and its derivative inside (-1, 1), by the recurrence of three terms."""
    before, value = np.ones_like(x), x
    for k in range(2, n + 1):
        before, value = value, ((2 * k - 1) * x * value - (k - 1) * before) / k
    return value, n * (before - x * value) / (1 - x**2)
