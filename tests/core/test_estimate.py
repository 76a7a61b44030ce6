"""Estimates that go on: a continued reduction, the sizes of rounds, nested nodes, the error held to a tolerance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import _registry
from jaxplain._errors import InputError
from jaxplain.core.estimate import Estimate, in_rounds, next_round, of_mean, relative_error, totals
from jaxplain.core.nested import nested_trapezoid
from jaxplain.core.noise import relative_standard_error
from jaxplain.core.quadrature import nodes_and_weights
from jaxplain.core.sampling import continue_over, largest, mean, moments, reduce_over, total, weighted
from jaxplain.testing import tol

SAMPLES = np.random.default_rng(0).normal(loc=3.0, size=(29, 2, 3))


@pytest.mark.parametrize("how", [total, mean, largest, moments, weighted], ids=lambda how: type(how).__name__)
def test_a_reduction_that_goes_on_is_the_whole_one(x64, how):
    values, weights = jnp.asarray(SAMPLES), jnp.arange(1.0, 30.0)
    fn = (lambda i: ({"a": values[i]}, weights[i])) if how is weighted else (lambda i: {"a": values[i]})
    go_on = jax.jit(lambda state, first, stop: continue_over(fn, how, state, first, stop, chunk=4))
    want = reduce_over(fn, 29, how, chunk=5)
    for cuts in ([29], [1, 29], [3, 4, 12, 29]):
        state, first = None, 0
        for stop in cuts:
            state, first = go_on(state, jnp.int32(first), jnp.int32(stop)), stop
        got = how.result(state, 29)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tol(np.float64, terms=29, scale=30)), got, want)


def test_one_program_serves_rounds_of_all_sizes_and_reads_no_state_at_first():
    traces = []

    @jax.jit
    def go_on(state, first, stop):
        traces.append(None)
        return continue_over(lambda i: i.astype(jnp.float32), total, state, first, stop, chunk=3)

    state = go_on(jnp.float32(jnp.nan), jnp.int32(0), jnp.int32(5))
    assert float(go_on(state, jnp.int32(5), jnp.int32(100))) == 4950
    assert len(traces) == 1


def test_rounds_double_until_the_budget_is_used():
    assert totals("here", 50, 4096, nested=False) == (50, 100, 200, 400, 800, 1600, 3200, 4096)
    assert totals("here", 50, 50, nested=False) == (50,)
    assert totals("here", 33, 257, nested=True) == (33, 65, 129, 257)
    assert totals("here", 33, 256, nested=True) == (33, 65, 129)
    with pytest.raises(InputError, match="here: the first round takes 50 samples and the budget pays for 10"):
        totals("here", 50, 10, nested=False)
    with pytest.raises(InputError, match="at least 2 nodes"):
        totals("here", 1, 10, nested=True)


@pytest.mark.parametrize("first", [2, 3, 8])
def test_nested_nodes_are_those_of_the_trapezoid_after_every_round(x64, first):
    node = jax.vmap(nested_trapezoid(first, jnp.dtype("float64")))
    for n in totals("here", first, 200, nested=True):
        got, weights = (np.asarray(values) for values in node(jnp.arange(n, dtype=jnp.int32)))
        order = np.argsort(got)
        want, want_weights = nodes_and_weights("trapezoid", n)
        np.testing.assert_allclose(got[order], want, rtol=0, atol=1e-15)
        np.testing.assert_allclose(weights[order] / (n - 1), want_weights, rtol=1e-14)


def test_a_mean_knows_its_standard_error(x64):
    values = jnp.asarray(SAMPLES)
    estimate = of_mean(lambda i: values[i], values[0, 0])
    found = next_round(estimate, None, jnp.int32(0), jnp.int32(29), chunk=8)
    want = relative_standard_error(reduce_over(lambda i: values[i], 29, moments), 1)
    np.testing.assert_allclose(found.map, SAMPLES.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.figures["stderr"], want, rtol=1e-12)
    np.testing.assert_allclose(found.error, want.max(), rtol=1e-6)  # of both scores the worse; float32


def test_the_step_of_nested_rules_is_unknown_at_first_and_then_the_change_over_the_map():
    values = jnp.array([3.0, 4.0, 5.0])
    estimate = Estimate(lambda i: values[i] * jnp.ones(2), mean, lambda map, n: (map, {"gap": jnp.zeros(())}))
    begun = next_round(estimate, None, jnp.int32(0), jnp.int32(1), chunk=2)
    assert np.isnan(begun.error) and np.isnan(begun.figures["step"])
    found = next_round(estimate, begun.state, jnp.int32(1), jnp.int32(3), chunk=2)
    np.testing.assert_allclose(found.figures["step"], 0.25)
    np.testing.assert_allclose(found.error, 0.25)


def test_the_error_of_nested_rules_is_the_worse_of_gap_and_step_over_all_scores():
    maps = jnp.array([[1.0, 1.5], [2.0, 2.0]])  # they sum to 2.5 and 4; the changes of the scores are 2 and 5
    figures = {"gap": jnp.array([0.5, -1.0]), "step": jnp.array([0.1, 0.0])}
    np.testing.assert_allclose(relative_error(maps, figures), 0.25)
    np.testing.assert_allclose(relative_error(maps, {**figures, "step": jnp.array([0.1, 0.3])}), 0.3)
    assert np.isnan(relative_error(maps, {**figures, "step": jnp.array([0.1, jnp.nan])}))
    zero = {"gap": jnp.zeros(2), "step": jnp.zeros(2)}
    assert float(relative_error(0 * maps, zero)) == 0
    assert float(relative_error(0 * maps, {**zero, "gap": jnp.array([0.0, 1e-9])})) == 1


def test_a_form_in_rounds_names_keywords_of_its_method(monkeypatch):
    monkeypatch.setattr(_registry, "METHODS", dict(_registry.METHODS))

    @_registry.method()
    def plain(f, x, *, key, baseline=None, n_steps: int = 3, chunk: int | None = None):
        return n_steps

    @in_rounds(plain, count="n_steps")
    def plain_in_rounds(f, x, *, key):
        return key

    rounds = _registry.METHODS["plain"].rounds
    assert (rounds.form, rounds.keywords, rounds.count, rounds.nested) == (plain_in_rounds, ("key",), "n_steps", False)
    for wrong, count in (
        (lambda f, x, *, n_steps: 0, "n_steps"),
        (lambda f, x, *, key, other: 0, "n_steps"),
        (lambda f, x, *, key=1: 0, "n_steps"),
        (lambda f, x, *, key: 0, "n_samples"),
    ):
        with pytest.raises(TypeError, match=r"keywords must be those of plain|no knob"):
            in_rounds(plain, count=count)(wrong)
    with pytest.raises(TypeError, match="tolerance is said of any method"):

        @_registry.method()
        def other(f, x, *, tolerance: float = 0.1):
            return x
