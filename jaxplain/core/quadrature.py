"""Quadrature rules on [0, 1]: nodes and weights that sum to one, in float64 on the host."""

from typing import Literal, get_args

import numpy as np

from jaxplain._errors import InputError, unknown

Rule = Literal["gauss_legendre", "midpoint", "trapezoid", "left", "right"]


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
            nodes, weights = np.polynomial.legendre.leggauss(n)
            return (nodes + 1) / 2, weights / 2
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
