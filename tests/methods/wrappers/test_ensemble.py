"""Ensembles: statistics of the members' own maps, and the model that averages the members' outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Logits, Predicted, Score, methods, wrap
from jaxplain._errors import InputTypeError
from jaxplain.core.model import Model
from jaxplain.testing import tol
from jaxplain.testing.networks import LAYER, images, relu_network, smooth_network
from jaxplain.testing.promises import PROMISES

MEMBERS = [smooth_network(seed) for seed in range(3)]
STATISTICS = {"mean": np.mean, "std": np.std, "variance": np.var, "square": lambda maps, axis: np.mean(maps**2, axis)}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_it_keeps_what_every_method_promises(promise):
    promise(wrap("ensemble", "input_x_gradient"), jaxplain.ensemble(MEMBERS))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_maps_are_statistics_of_the_members_maps(statistic):
    x, target = jnp.asarray(images(1)[0]), Logits(jnp.array([1, 4]))
    maps = np.stack([methods.grad_cam(Score(model, target), x, layer=LAYER) for model in MEMBERS])
    entry = wrap("ensemble", "grad_cam", statistic=statistic)
    got = entry(Score(jaxplain.ensemble(MEMBERS), target), x, layer=LAYER)
    bounds = tol(np.float32, terms=300, scale=float((maps**2).max()))
    np.testing.assert_allclose(got, STATISTICS[statistic](maps, axis=0), **bounds)


def test_the_model_itself_is_the_mean_network():
    x, model = images(4), jaxplain.ensemble(MEMBERS)
    outputs = np.mean([member(x) for member in MEMBERS], axis=0)
    np.testing.assert_allclose(model(x), outputs, **tol(np.float32, terms=300, scale=float(np.abs(outputs).max())))
    want = np.mean([jaxplain.explain(one, x, Logit(outputs.argmax(1)), method="gradient") for one in MEMBERS], axis=0)
    for method in ("gradient", "ensemble(gradient)"):
        got = jaxplain.explain(model, x, Predicted(), method=method)
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=300, scale=float(np.abs(want).max())))


def test_relevance_is_that_of_every_member():
    x, members = images(2), [relu_network(8), relu_network(9)]
    knobs = {"composite": "epsilon", "target": Logit(1)}
    want = np.std([jaxplain.explain(one, x, method="lrp", **knobs) for one in members], axis=0)
    got = jaxplain.explain(jaxplain.ensemble(members), x, method=wrap("ensemble", "lrp", statistic="std"), **knobs)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=300, scale=float(want.max()), safety=64))


def test_equal_members_have_no_deviation():
    x = jnp.asarray(images(1)[0])
    f = Score(jaxplain.ensemble([MEMBERS[0]] * 3), Logit(0))
    found, figures = wrap("ensemble", "gradient").with_diagnostics(f, x)
    np.testing.assert_allclose(found, methods.gradient(Score(MEMBERS[0], Logit(0)), x), **tol(np.float32, terms=3))
    assert figures["stderr"] < 1e-6


def test_other_weights_are_the_same_program():
    a, b = jaxplain.ensemble(MEMBERS), jaxplain.ensemble([smooth_network(seed) for seed in (7, 8, 9)])
    assert jax.tree.structure(a) == jax.tree.structure(b)


def test_what_is_no_ensemble_is_refused():
    x = jnp.asarray(images(1)[0])
    with pytest.raises(InputError, match=r"pass a model that jaxplain\.ensemble"):
        wrap("ensemble", "gradient")(Score(MEMBERS[0], Logit(0)), x)
    with pytest.raises(InputError, match="no models"):
        jaxplain.ensemble([])
    with pytest.raises(InputError, match="model 1 is another network than model 0"):
        jaxplain.ensemble([MEMBERS[0], relu_network()])
    with pytest.raises(InputError, match="model 1 is another network"):
        jaxplain.ensemble([Model(jnp.ones(2), jnp.multiply), Model(jnp.ones(3), jnp.multiply)])
    with pytest.raises(InputTypeError, match="function is no model; wrap it by from_linen"):
        jaxplain.ensemble([lambda x: x])
