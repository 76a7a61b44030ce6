"""Integrated gradients: nodes that follow the score, nodes that are given, what they cost, and what tells the error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import Logit, explain
from jaxplain._errors import InputError, InputTypeError
from jaxplain._registry import METHODS
from jaxplain.core.nodes import Nodes, calibrate, path_deviations
from jaxplain.core.quadrature import nodes_and_weights
from jaxplain.core.score import Score
from jaxplain.methods import integrated_gradients, integrated_gradients_with_diagnostics
from jaxplain.testing.networks import images, relu_network, smooth_network
from jaxplain.testing.tolerance import tol

X = np.array([0.5, 1.5, 1.0])


def step_like(x):
    """All change in a hundredth of the path around 0.8."""
    return jax.nn.sigmoid(200 * (jnp.sum(x) / 3 - 0.8))


def relative(maps, truth):
    """The error's norm over the map's, image by image."""
    axes = tuple(range(1, truth.ndim))
    return np.sqrt(np.sum((maps - truth) ** 2, axes) / np.sum(truth**2, axes))


def test_steps_follow_the_change_of_the_score(x64):
    """Of 16 even steps none may hit a change in a hundredth of the path; steps by its change leave a tenth of that."""
    exact = X * float(step_like(jnp.asarray(X)) - step_like(jnp.zeros(3))) / X.sum()
    errors = {
        rule: float(
            np.abs(integrated_gradients(step_like, jnp.asarray(X), baseline=0.0, n_steps=16, rule=rule) - exact).max()
        )
        for rule in ("midpoint", "non_uniform")
    }
    assert errors["non_uniform"] < 0.1 * errors["midpoint"]
    assert errors["midpoint"] > 0.05


def test_several_scores_under_steps_of_their_own(x64):
    """Two quadratic forms share one set of steps, on which both are exact."""

    def f(x):
        return jnp.stack([jnp.sum(x**2), 3 * x[0] * x[2] - x[1]])

    found = integrated_gradients(f, jnp.asarray(X), baseline=0.0, n_steps=5, rule="non_uniform")
    want = [X**2, np.array([1.5 * X[0] * X[2], -X[1], 1.5 * X[0] * X[2]])]
    np.testing.assert_allclose(found, want, **tol(np.float64, terms=8))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("gauss_legendre", 12), ("trapezoid", 12), ("non_uniform", 12 + 5)],
    ids=lambda value: str(value),
)
def test_what_is_evaluated(rule, expected):
    """n gradients, and a forward pass for each end of the probed intervals."""
    points = []

    def f(x):
        jax.debug.callback(lambda value: points.append(float(value)), jnp.sum(x))
        return jnp.sum(x**3)

    integrated_gradients(
        f, jnp.asarray(X), baseline=0.0, n_steps=12, rule=rule, n_probes=4, chunk=4, implementation="plain"
    )
    jax.effects_barrier()
    assert len(points) == expected


def test_given_nodes_are_used_as_they_are():
    for rule in ("midpoint", "gauss_legendre"):
        nodes = Nodes(*nodes_and_weights(rule, 5))
        found = integrated_gradients(step_like, jnp.asarray(X), baseline=0.0, nodes=nodes)
        want = integrated_gradients(step_like, jnp.asarray(X), baseline=0.0, n_steps=5, rule=rule)
        np.testing.assert_array_equal(found, want)


def test_other_nodes_compile_nothing():
    traces = []

    @jax.jit
    def explained(x, nodes):
        traces.append(None)
        return integrated_gradients(step_like, x, baseline=0 * x, nodes=nodes)

    for rule in ("midpoint", "gauss_legendre"):
        explained(jnp.asarray(X), Nodes(*(values.astype(np.float32) for values in nodes_and_weights(rule, 6))))
    assert len(traces) == 1


def test_what_are_no_nodes_is_refused():
    for wrong, error, words in (
        (Nodes(np.zeros(2), np.ones(3)), InputError, "integrated_gradients: nodes have positions of shape"),
        ((0.5, 1.0), InputTypeError, "integrated_gradients: nodes must be"),
    ):
        with pytest.raises(error, match=words):
            integrated_gradients(step_like, jnp.asarray(X), baseline=0.0, nodes=wrong)
        with pytest.raises(error, match=words):
            explain(relu_network(), images(1), Logit(0), method="integrated_gradients", baseline=0.0, nodes=wrong)


def test_nodes_calibrated_on_some_images_serve_others():
    """Eight nodes, chosen on six images, leave a smaller error on six others than eight even ones, under ReLU too."""
    for network in (smooth_network(), relu_network()):
        batch, f = images(12), Score(network, Logit(1))
        measure = jax.jit(jax.vmap(lambda x, f=f: path_deviations(f, x, baseline=0 * x, n_points=64)))
        nodes = calibrate(np.asarray(measure(batch[:6]).mean(0)), 8)
        known = {"method": "integrated_gradients", "baseline": 0.0}
        truth = explain(network, batch[6:], Logit(1), n_steps=256, rule="midpoint", **known)
        own = relative(explain(network, batch[6:], Logit(1), nodes=nodes, **known), truth)
        even = relative(explain(network, batch[6:], Logit(1), n_steps=8, rule="midpoint", **known), truth)
        assert np.sqrt(np.mean(own**2)) < np.sqrt(np.mean(even**2))


def ranks(values):
    return np.argsort(np.argsort(values))


@pytest.mark.slow
def test_the_difference_of_nested_rules_predicts_the_error_of_a_map_and_the_gap_does_not():
    """Trapezoids of 5, 9, 17 and 33 nodes, each containing the one before, on 16 images under a network with ReLU.

    The error of a map is that to 513 nodes. The difference from the rule before is 0.5 to 5 times as large, every time;
    the gap, relative to the change of the score, may be a thirtieth of it or three times as large.
    """
    f, batch = Score(relu_network(), Logit(1)), jnp.asarray(images(16))
    form = METHODS["integrated_gradients"].with_diagnostics

    def explained(n):
        run = jax.jit(jax.vmap(lambda x: form(f, x, baseline=0 * x, n_steps=n, rule="trapezoid")))
        maps, figures = run(batch)
        return np.asarray(maps), np.asarray(figures["gap"])

    truth, _ = explained(513)
    change = np.abs(np.asarray(jax.vmap(f)(batch) - jax.vmap(f)(0 * batch)))
    coarse, _ = explained(5)
    errors, differences, gaps = [], [], []
    for n in (9, 17, 33):
        fine, gap = explained(n)
        errors.append(relative(fine, truth))
        differences.append(relative(coarse, fine))
        gaps.append(np.abs(gap) / change)
        coarse = fine
    errors, differences, gaps = (np.concatenate(values) for values in (errors, differences, gaps))
    assert (0.5 < differences / errors).all() and (differences / errors < 5).all()
    assert (gaps / errors).min() < 0.05 and np.ptp(np.log10(gaps / errors)) > 1.5
    assert np.corrcoef(ranks(differences), ranks(errors))[0, 1] > 0.85
    assert np.corrcoef(ranks(gaps), ranks(errors))[0, 1] < 0.6


def test_the_gap_of_given_nodes(x64):
    """One node at the end of the path: 3 instead of 1, in the map and in the gap."""
    cube, one = lambda x: x[0] ** 3, jnp.ones(1)
    _, figures = integrated_gradients_with_diagnostics(cube, one, baseline=0 * one, nodes=Nodes(np.ones(1), np.ones(1)))
    np.testing.assert_allclose(figures["gap"], 2.0, **tol(np.float64))
