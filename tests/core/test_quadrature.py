"""Quadrature: weights, exactness degree and order of convergence of every rule."""

from typing import get_args

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.core.quadrature import Rule, nodes_and_weights

RULES = get_args(Rule)
DEGREE = {"gauss_legendre": lambda n: 2 * n - 1, "midpoint": lambda n: 1, "trapezoid": lambda n: 1}
ORDER = {"midpoint": 2, "trapezoid": 2, "left": 1, "right": 1}


def integral(rule, n, function):
    nodes, weights = nodes_and_weights(rule, n)
    return weights @ function(nodes)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [2, 3, 8, 33])
def test_nodes_lie_inside_in_order_and_weights_sum_to_one(rule, n):
    nodes, weights = nodes_and_weights(rule, n)
    assert nodes.shape == weights.shape == (n,) and nodes.dtype == weights.dtype == np.float64
    assert (np.diff(nodes) > 0).all() and nodes[0] >= 0 and nodes[-1] <= 1 and (weights > 0).all()
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-14)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [2, 3, 5])
def test_polynomials_are_exact_up_to_the_degree_and_not_beyond(rule, n):
    degree = DEGREE.get(rule, lambda n: 0)(n)
    for power in range(degree + 1):
        np.testing.assert_allclose(integral(rule, n, lambda t, p=power: t**p), 1 / (power + 1), rtol=1e-13)
    assert abs(integral(rule, n, lambda t: t ** (degree + 1)) - 1 / (degree + 2)) > 1e-7


@pytest.mark.parametrize("rule", ORDER)
def test_order_of_convergence(rule):
    """Halving the step divides the error by 2^order; measured on exp, at 64 and 128 intervals."""
    steps = [65, 129] if rule == "trapezoid" else [64, 128]
    coarse, fine = (abs(integral(rule, n, np.exp) - (np.e - 1)) for n in steps)
    np.testing.assert_allclose(np.log2(coarse / fine), ORDER[rule], atol=0.02)


def test_gauss_legendre_converges_geometrically():
    """On exp the error of n nodes is below (e/4/n)^(2n) or so: 8 nodes reach rounding."""
    errors = [abs(integral("gauss_legendre", n, np.exp) - (np.e - 1)) for n in (2, 3, 4)]
    assert errors[0] / errors[1] > 100 and errors[1] / errors[2] > 100
    np.testing.assert_allclose(integral("gauss_legendre", 8, np.exp), np.e - 1, rtol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 33])
def test_gauss_legendre_is_that_of_numpy(n):
    nodes, weights = np.polynomial.legendre.leggauss(n)
    found = nodes_and_weights("gauss_legendre", n)
    np.testing.assert_allclose(found[0], (nodes + 1) / 2, atol=1e-15)
    np.testing.assert_allclose(found[1], weights / 2, rtol=1e-12)


def test_gauss_legendre_takes_thousands_of_nodes():
    nodes, weights = nodes_and_weights("gauss_legendre", 3001)
    assert (np.diff(nodes) > 0).all() and nodes[1500] == 0.5
    np.testing.assert_allclose(weights @ np.exp(nodes), np.e - 1, rtol=1e-13)


def test_one_node_and_refusals():
    assert [float(nodes_and_weights(rule, 1)[0][0]) for rule in ("gauss_legendre", "midpoint", "left", "right")] == [
        0.5, 0.5, 0.0, 1.0,
    ]  # fmt: skip
    for rule, n in (("trapezoid", 1), ("midpoint", 0), ("gauss_legendre", -1)):
        with pytest.raises(InputError, match="raise n_steps"):
            nodes_and_weights(rule, n)
    with pytest.raises(InputError, match="unknown rule 'trapezoidal'; did you mean 'trapezoid'"):
        nodes_and_weights("trapezoidal", 4)
