"""Nodes of a path: cells of equal change, products of deviations, and the nodes with the smallest error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError, InputTypeError
from jaxplain.core.nodes import (
    EVEN_SHARE,
    RIDGE,
    Nodes,
    calibrate,
    check_nodes,
    equidistributed,
    nodes_by_change,
    path_deviations,
)
from jaxplain.core.quadrature import nodes_and_weights
from jaxplain.testing.tolerance import tol


def random_products(seed, n_points=24, rank=6):
    """Products of deviations from a mean, as gradients along a path have them."""
    gradients = np.random.default_rng(seed).normal(size=(n_points, rank)).cumsum(axis=0)
    deviations = gradients - gradients.mean(axis=0)
    return deviations @ deviations.T


def squared_error(products, nodes):
    """The relative error of a rule whose nodes are points of the products."""
    weights = np.zeros(len(products))
    weights[np.round(nodes.positions * len(products) - 0.5).astype(int)] = nodes.weights
    return weights @ products @ weights


def with_ridge(products):
    return products + RIDGE * np.trace(products) / len(products) * np.eye(len(products))


def midpoint(n_points, n):
    chosen = ((np.arange(n) + 0.5) * n_points / n).astype(int)
    return Nodes((chosen + 0.5) / n_points, np.full(n, 1 / n))


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_cells_of_equal_share_are_exact_for_linear_integrands_whatever_the_density(x64, n):
    density = jnp.asarray(np.random.default_rng(n).uniform(0.1, 9, 7))
    nodes = equidistributed(density, n)
    limits = tol(np.float64, terms=32)
    np.testing.assert_allclose(jnp.sum(nodes.weights), 1, **limits)
    np.testing.assert_allclose(jnp.sum(nodes.weights * nodes.positions), 0.5, **limits)
    assert (np.diff(nodes.positions) > 0).all() and (nodes.weights > 0).all()


def test_each_cell_holds_the_same_share(x64):
    """Density 1, 3 on the halves: the whole is 2, cells of a quarter of it end at 1/2, 2/3, 5/6."""
    nodes = equidistributed(jnp.array([1.0, 3.0]), 4)
    np.testing.assert_allclose(nodes.weights, [1 / 2, 1 / 6, 1 / 6, 1 / 6], **tol(np.float64))
    np.testing.assert_allclose(nodes.positions, [1 / 4, 7 / 12, 9 / 12, 11 / 12], **tol(np.float64))


@pytest.mark.parametrize("scores", [np.full(5, 3.0), np.arange(5.0), -np.arange(5.0)])
def test_no_change_and_even_change_give_the_midpoint_rule(x64, scores):
    nodes = nodes_by_change(jnp.asarray(scores), 6)
    positions, weights = nodes_and_weights("midpoint", 6)
    np.testing.assert_allclose(nodes.positions, positions, **tol(np.float64, terms=8))
    np.testing.assert_allclose(nodes.weights, weights, **tol(np.float64, terms=8))


def test_nodes_gather_where_the_score_changes_and_no_step_is_long(x64):
    """All change in the third of four intervals: it takes 1 - EVEN_SHARE of the nodes and its part of the even ones."""
    n = 400
    nodes = nodes_by_change(jnp.array([1.0, 1.0, 1.0, 4.0, 4.0]), n)
    positions = np.asarray(nodes.positions)
    inside = np.sum((positions > 0.5) & (positions < 0.75))
    assert abs(inside - n * (1 - EVEN_SHARE * 3 / 4)) <= 1
    assert nodes.weights.max() <= (1 + 1e-12) / (EVEN_SHARE * n)


def test_several_scores_share_nodes_and_none_outweighs_the_others(x64):
    """One score a thousand times as large as the other: both intervals of change get the same number of nodes."""
    scores = jnp.array([[0.0, 0.0], [1000.0, 0.0], [1000.0, 0.0], [1000.0, 1.0]])
    nodes = nodes_by_change(scores, 300)
    positions = np.asarray(nodes.positions)
    first, last = int(np.sum(positions < 1 / 3)), int(np.sum(positions > 2 / 3))
    assert abs(first - last) <= 1 and first > 120


def test_nodes_are_constants_in_derivatives():
    slope = jax.grad(lambda scores: jnp.sum(nodes_by_change(scores, 4).positions ** 2))(jnp.array([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(slope, 0)


def test_the_products_of_a_quadratic_form_are_those_of_a_line(x64):
    """The gradient is linear along the path: g(t) = m + (t - 1/2) d, with m the map."""
    rng = np.random.default_rng(0)
    q, x, b = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    q = q + q.T
    found = path_deviations(lambda x: 0.5 * x @ jnp.asarray(q) @ x, jnp.asarray(x), baseline=jnp.asarray(b), n_points=6)
    mean, slope = (x - b) * (q @ (x + b)) / 2, (x - b) * (q @ (x - b))
    t = (np.arange(6) + 0.5) / 6 - 0.5
    np.testing.assert_allclose(found, np.outer(t, t) * (slope @ slope) / (mean @ mean), **tol(np.float64, terms=64))


def test_products_of_several_scores_are_averaged_and_a_zero_map_has_none(x64):
    x = jnp.array([1.0, 2.0])
    one = path_deviations(lambda x: jnp.sum(x**3), x, baseline=0 * x, n_points=4)
    three = path_deviations(
        lambda x: jnp.stack([jnp.sum(x**3), 0 * x[0], -2 * jnp.sum(x**3)]), x, baseline=0 * x, n_points=4, chunk=3
    )
    np.testing.assert_allclose(three, one * 2 / 3, **tol(np.float64, terms=64))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_calibration_never_does_worse_than_the_midpoint_rule_where_it_was_measured(seed, n):
    products = random_products(seed)
    nodes = calibrate(products, n)
    assert nodes.positions.shape == nodes.weights.shape == (n,)
    assert (np.diff(nodes.positions) > 0).all()
    np.testing.assert_allclose(nodes.weights.sum(), 1, rtol=1e-12)
    ridged = with_ridge(products)
    assert squared_error(ridged, nodes) <= squared_error(ridged, midpoint(24, n)) * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_no_exchange_of_one_node_lowers_the_error_further(seed):
    products = with_ridge(random_products(seed))
    nodes = calibrate(random_products(seed), 4)
    chosen = set(np.round(nodes.positions * 24 - 0.5).astype(int).tolist())
    least = squared_error(products, nodes)
    for old in chosen:
        for new in set(range(24)) - chosen:
            others = sorted(chosen - {old} | {new})
            assert 1 / np.linalg.inv(products[np.ix_(others, others)]).sum() >= least * (1 - 1e-6)


def test_two_nodes_integrate_gradients_of_second_degree(x64):
    """Two nodes can be exact for parabolas, as those of Gauss are; the midpoint rule leaves ten times the error."""
    x = jnp.array([1.0, 2.0, 0.5])
    products = path_deviations(lambda x: jnp.sum(x**3 + x**2), x, baseline=0 * x, n_points=64)
    nodes = calibrate(products, 2)
    assert squared_error(np.asarray(products), nodes) < 1e-2 * squared_error(np.asarray(products), midpoint(64, 2))


def test_without_deviations_all_weights_are_even():
    nodes = calibrate(np.zeros((16, 16)), 4)
    np.testing.assert_allclose(nodes.weights, 1 / 4, rtol=1e-12)


@pytest.mark.parametrize(
    ("products", "n", "words"),
    [
        (np.eye(8), 5, "ask for 1 to 4, or more points"),
        (np.eye(8), 0, "ask for 1 to 4"),
        (np.full((8, 8), np.nan), 2, "not finite; look for NaN"),
    ],
)
def test_calibration_refuses_too_many_nodes_and_what_is_not_finite(products, n, words):
    with pytest.raises(InputError, match=words):
        calibrate(products, n)


@pytest.mark.parametrize(
    ("nodes", "error", "words"),
    [
        (
            (np.zeros(1), np.ones(1)),
            InputTypeError,
            r"must be jaxplain.core.nodes.Nodes\(positions, weights\), got tuple",
        ),
        (Nodes(np.zeros(2), np.ones(3)), InputError, r"shape \(2,\) and weights of shape \(3,\); give one weight"),
        (Nodes(np.zeros(0), np.zeros(0)), InputError, "n at least 1"),
        (Nodes(np.array([0.5, 1.5]), np.full(2, 0.5)), InputError, "lie at 0.5 ... 1.5; give positions from 0 to 1"),
        (Nodes(np.array([0.5, np.nan]), np.full(2, 0.5)), InputError, "give positions from 0 to 1"),
        (Nodes(np.array([0.2, 0.8]), np.ones(2)), InputError, "sum to 2; divide them by their sum"),
    ],
)
def test_what_are_no_nodes_is_refused(nodes, error, words):
    with pytest.raises(error, match=words):
        check_nodes("here", nodes)
