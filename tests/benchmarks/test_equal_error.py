"""What methods take to the same error: the counting, and a network of which the answers are known."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.equal_error import coalitions, masks, paths
from benchmarks.equal_error.reaching import crossing, first, ratio
from benchmarks.equal_error.subjects import Subject
from benchmarks.equal_error.table import HEAD, rows
from jaxplain.core.coalitions import written
from jaxplain.core.model import Model
from jaxplain.core.score import Score
from jaxplain.core.targets import Logit
from jaxplain.methods import kernel_shap
from jaxplain.testing.tolerance import tol

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def linear():
    weights = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32) / 8
    images = jnp.asarray(np.random.default_rng(1).normal(size=(2, *SHAPE)), jnp.float32)
    model = Model({"weights": jnp.asarray(weights)}, lambda params, x: x.reshape(len(x), -1) @ params["weights"])
    return Subject(model, images, jnp.array([0, 1], jnp.int32), jnp.zeros(SHAPE), {"weights": "given"})


def test_one_node_suffices_for_a_linear_score_under_every_rule_and_not_for_its_probability(linear):
    found = paths.measure(linear, linear, ladder=(1, 2, 4), n_points=16, n_reference=256)
    for rule, row in found["targets"]["logit"].items():
        for kind in ("gap", "map"):
            assert row[kind]["gradients"] == {"median": 1.0, "reached": 1.0}, (rule, kind)
            assert row[kind]["midpoint over it, gradients"]["median"] == 1.0
    medians = found["targets"]["probability"]["midpoint"]["medians"]
    # All gradients of the path are multiples of one map, so that gap and error of the map are one figure,
    # but for the error of the reference, of the order of (4 / 256)^2.
    np.testing.assert_allclose(*np.array(list(medians.values())).T, rtol=1e-2)
    assert medians["4"][0] < medians["2"][0] < medians["1"][0]
    assert json.dumps(found, allow_nan=False)


def test_methods_on_tabulated_games_give_what_they_give_on_the_network(linear):
    """The same coalitions are drawn by the same key, so that values differ by rounding alone."""
    model = Model(linear.model.params, lambda params, x: jnp.tanh(x.reshape(len(x), -1) @ params["weights"]) ** 2)
    game = Subject(model, linear.images, linear.labels, linear.baseline, {})
    tables = coalitions.tabulated(model, game.images, game.labels, game.baseline)
    key = jax.random.key(5)
    (taken,) = coalitions.on_tables("kernel_shap, paired", tables, key[None], [20])
    segments = coalitions._segments(SHAPE)
    for x, label, values in zip(game.images, game.labels, taken.maps[:, 0], strict=True):
        want = written(jnp.asarray(values, jnp.float32), segments, x, divided=False)
        got = kernel_shap(
            Score(model, Logit(label)), x, key=key, segments=segments, baseline=game.baseline, n_samples=20, whole=False
        )
        np.testing.assert_allclose(got, want, **tol(jnp.float32, terms=4096))


@pytest.mark.slow
def test_a_linear_score_needs_no_draws_and_longer_runs_are_nearer_to_their_reference(linear):
    found = coalitions.measure(linear, n_keys=2, least=48, most=96)
    for name in ("kernel_shap, unpaired", "shapley_sampling, one way"):
        assert found["methods"][name]["tolerances"]["0.02"]["evaluations"]["reached"] == 1.0
    made = masks.measure(linear, n_keys=4, least=64, most=1024, n_reference=8192, n_others=8192)
    for name, row in made["methods"].items():  # 16 times as many masks: a quarter of the error, or less
        errors = list(row["centered"]["errors"].values())
        assert errors[-1] < errors[0] / 2, name
    both = paths.measure(linear, linear, ladder=(1, 2), n_points=8, n_reference=8)
    record = {"networks": {"linear": {"paths": both, "masks": made, "coalitions": found}}}
    assert all(len(row) == len(HEAD) for row in rows(record))


def test_a_bound_is_held_where_the_next_rung_keeps_it_too():
    met = np.array([[True, False, True], [False, True, True], [True, True, False]])
    assert first(met, held=False).tolist() == [0, 1, 0]
    assert first(met, held=True).tolist() == [3, 1, 0]
    assert (first(met, held=True) >= first(met, held=False)).all()


def test_the_crossing_of_a_power_law_is_exact_and_the_last_one_counts():
    counts = [64, 128, 256, 512]
    law = np.stack([[1 / n**0.5 for n in counts], [1 / n for n in counts]], axis=1)
    np.testing.assert_allclose(crossing(counts, law, 0.05), [400, 64])  # the second is below from the first rung on
    wavy = np.array([[0.2], [0.01], [0.2], [0.05]])
    assert 256 < crossing(counts, wavy, 0.1)[0] < 512
    assert crossing(counts, wavy, 0.001)[0] == np.inf


def test_what_is_not_reached_bounds_the_ratio():
    of, over = np.array([8.0, np.inf, 8.0, np.inf]), np.array([4.0, 4.0, np.inf, np.inf])
    found = ratio(of, over, 128)
    assert found["values"] == [2.0, 32.0, 0.0]
    assert (found["images"], found["bounds"]) == (3, 1)
    assert ratio(of[3:], over[3:], 128) is None
