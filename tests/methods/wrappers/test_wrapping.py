"""Wrapped methods are methods: their names, keywords, promises and programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Predicted, Score, methods, wrap
from jaxplain._errors import InputTypeError
from jaxplain._registry import WRAPPERS, find_method
from jaxplain._wrapping import INNER_STREAM, wrapper
from jaxplain.testing import tol
from jaxplain.testing.axioms import check_axiom
from jaxplain.testing.compiles import count_compiles
from jaxplain.testing.networks import LAYER, images, smooth_network
from jaxplain.testing.promises import PROMISES, network_for

KEY = jax.random.key(5)
WRAPPED = {
    entry.name: entry
    for entry in (
        wrap("smooth", "gradient", n_samples=5),
        wrap("augment", "grad_cam", flips=(-1, -2)),
        wrap("smooth", "integrated_gradients", n_samples=2, antithetic=True, statistic="std"),
        wrap("augment", wrap("smooth", "input_x_gradient", n_samples=2), shift=1, flips=()),
    )
}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize(
    "name", [name if number < 2 else pytest.param(name, marks=pytest.mark.slow) for number, name in enumerate(WRAPPED)]
)
def test_a_wrapped_method_keeps_what_every_method_promises(name, promise):
    promise(WRAPPED[name], network_for(WRAPPED[name]))


@pytest.mark.parametrize(
    ("name", "axiom"),
    [(name, axiom) for name in ("smooth(gradient)", "augment(input_x_gradient)") for axiom in find_method(name).axioms],
)
def test_a_wrapped_method_keeps_the_axioms_that_its_wrapper_keeps(name, axiom):
    check_axiom(axiom, wrap(*name.rstrip(")").split("("), **({"n_samples": 4} if name.startswith("smooth") else {})))


def test_it_has_the_context_and_the_knobs_of_both():
    inner, entry = find_method("lrp"), find_method("smooth(lrp)")
    assert entry.name == entry.function.__name__ == "smooth(lrp)"
    assert set(entry.context) == {*inner.context, "key"}
    assert "composite" not in entry.optional and "key" not in entry.optional
    assert {"low", "high"} <= set(entry.optional)
    own = {"n_samples", "sigma", "outside", "antithetic", "statistic"}
    assert set(entry.knobs) == {*inner.knobs, "chunk", *(f"smooth.{name}" for name in own)}
    assert entry.knobs["smooth.sigma"].kind == "traced" and entry.knobs["smooth.n_samples"].kind == "static"
    assert entry.notes["rules"] is inner.notes["rules"]


def test_axioms_are_those_that_both_have():
    assert set(find_method("smooth(gradient)").axioms) == {"linearity", "implementation_invariance"}
    assert "completeness" not in find_method("smooth(integrated_gradients)").axioms


def test_wrappers_nest_in_the_order_of_the_name():
    entry = find_method("augment(smooth(gradient))")
    assert entry.name == wrap("augment", wrap("smooth", methods.gradient)).name == "augment(smooth(gradient))"
    x, f = jnp.asarray(images(1)[0]), Score(smooth_network(), Logit(1))
    smooth = {"smooth.n_samples": 3, "smooth.sigma": 0.1}
    got = entry(f, x, key=KEY, **smooth)
    inner = jax.random.fold_in(KEY, INNER_STREAM)
    maps = [
        find_method("smooth(gradient)")(f, x[:, ::step], key=jax.random.fold_in(inner, i), **smooth)[:, ::step]
        for i, step in enumerate((1, -1))
    ]
    np.testing.assert_allclose(got, np.mean(maps, axis=0), **tol(np.float32, terms=300))


def test_the_methods_own_samples_have_keys_of_their_own():
    """Without noise of the wrapper, its samples are the method's maps for other keys, none of them the image's."""
    x, f = jnp.asarray(images(1)[0]), Score(smooth_network(), Logit(1))
    got = wrap("smooth", "smoothgrad", n_samples=3, sigma=0.0)(f, x, key=KEY, n_samples=2)
    inner = jax.random.fold_in(KEY, INNER_STREAM)
    maps = [methods.smoothgrad(f, x, key=jax.random.fold_in(inner, i), n_samples=2) for i in range(3)]
    np.testing.assert_allclose(got, np.mean(maps, axis=0), **tol(np.float32, terms=300))
    same = methods.smoothgrad(f, x, key=KEY, n_samples=2)
    assert min(np.abs(one - same).max() for one in maps) > 1e-3


def test_there_is_one_loop_whose_chunk_can_be_chosen():
    """A method with samples of its own is wrapped by a loop of one sample at a time."""
    assert "chunk" in find_method("smooth(gradient)").knobs and "chunk" in find_method("smooth(occlusion)").knobs
    assert "chunk" not in find_method("ensemble(gradient)").knobs


def test_explain_takes_the_name_and_the_wrapped_method():
    x, model = images(5), smooth_network()
    knobs = {"key": KEY, "baseline": 0.0, "n_steps": 4}
    entry = wrap("smooth", "integrated_gradients", n_samples=3, sigma=0.2)
    want = jaxplain.explain(model, x, Predicted(), method=entry, **knobs)
    named = {"smooth.n_samples": 3, "smooth.sigma": 0.2}
    got = jaxplain.explain(model, x, Predicted(), method="smooth(integrated_gradients)", **knobs, **named)
    np.testing.assert_array_equal(got, want)
    for batch, chunk in ((1, 1), (2, 3)):
        got = jaxplain.explain(model, x, Predicted(), method=entry, batch=batch, chunk=chunk, **knobs)
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=12, scale=float(np.abs(want).max()), safety=64))


def test_wrapping_again_with_other_floats_compiles_nothing():
    x, model = images(4), smooth_network()

    def run(sigma, label):
        entry = wrap("smooth", "gradient", n_samples=2, sigma=sigma)
        return jaxplain.explain(model, x, Logit(label), method=entry, key=KEY)

    first = run(0.1, 0)
    with count_compiles() as count:
        for sigma, label in ((0.2, 1), (np.float32(0.3), 2), (1, 3)):
            run(sigma, label)
        again = run(0.1, 0)
    assert count.programs == 0
    np.testing.assert_array_equal(again, first)


def test_a_knob_may_be_traced():
    x, f = jnp.asarray(images(1)[0]), Score(smooth_network(), Logit(1))
    smooth = lambda sigma: wrap("smooth", "gradient", n_samples=2, sigma=sigma)(f, x, key=KEY)  # noqa: E731
    np.testing.assert_allclose(jax.jit(smooth)(0.3), smooth(0.3), **tol(np.float32, terms=300))


def test_diagnosed_maps_are_the_maps():
    x, f = jnp.asarray(images(1)[0]), Score(smooth_network(), Logit(1))
    entry = wrap("smooth", "grad_cam", n_samples=6)
    found, figures = entry.with_diagnostics(f, x, key=KEY, layer=LAYER)
    np.testing.assert_allclose(found, entry(f, x, key=KEY, layer=LAYER), **tol(np.float32, terms=300))
    assert figures["stderr"].shape == () and 0 < figures["stderr"] < 1
    assert find_method("augment(gradient)").with_diagnostics is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wrap("smoth", "lrp"), "wrap: unknown wrapper 'smoth'; did you mean 'smooth'"),
        (lambda: wrap("smooth", "lpr"), "unknown method 'lpr'; did you mean 'lrp'"),
        (
            lambda: wrap("smooth", "lrp", n_sample=3),
            r"wrap\('smooth'\): unknown knob 'n_sample'; did you mean",
        ),
        (lambda: wrap("smooth", "lrp", sigma=-1), "sigma = -1 lies outside"),
        (lambda: wrap("smooth", "smooth(lrp)"), r"smooth\(lrp\) is wrapped by 'smooth' already"),
        (lambda: wrap("smooth", jnp.sum), "unknown method 'sum'|is not the registered method"),
        (lambda: find_method("smoth(lrp)"), "unknown wrapper 'smoth'"),
        (lambda: find_method("smooth(gradient)")(jnp.sum, jnp.ones(2)), "key= is required"),
        (
            lambda: find_method("smooth(gradient)")(jnp.sum, jnp.ones(2), key=KEY, **{"smooth.sigm": 1}),
            "unknown keyword 'smooth.sigm'; did you mean 'smooth.sigma'",
        ),
        (
            lambda: wrap("smooth", "gradient", n_samples=3, antithetic=True)(jnp.sum, jnp.ones(2), key=KEY),
            r"smooth\(gradient\): antithetic samples come in pairs, got n_samples = 3",
        ),
    ],
)
def test_refusals_say_what_to_do(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_a_method_without_its_context_is_refused_by_the_wrapped_name():
    with pytest.raises(InputTypeError, match=r"smooth\(integrated_gradients\): baseline= is required"):
        jaxplain.explain(smooth_network(), images(2), Logit(0), method="smooth(integrated_gradients)", key=KEY)


def test_a_name_is_registered_once():
    with pytest.raises(TypeError, match="wrapper: the name 'smooth' is registered twice"):

        @wrapper()
        def smooth(explain, x):
            """Do nothing."""

    assert sorted(WRAPPERS) == ["augment", "dropout", "ensemble", "smooth"]


@pytest.mark.parametrize("knobs", [{}, {"antithetic": True, "statistic": "std"}])
def test_noise_around_a_method_of_one_evaluation_goes_on_until_a_tolerance_is_met(knobs):
    """Doubling from 4 samples, in pairs or not: the map is that of some round, and the last one if none suffices."""
    x, model = images(2), smooth_network()
    entry = wrap("smooth", "input_x_gradient", n_samples=4, **knobs)
    explain = lambda entry, **words: jaxplain.explain(model, x, Logit(1), method=entry, key=KEY, **words)  # noqa: E731
    with pytest.warns(UserWarning, match="tolerance"):
        got = explain(entry, tolerance=1e-9, budget=16)
    want = explain(wrap("smooth", "input_x_gradient", n_samples=16, **knobs))
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=300, scale=float(np.abs(want).max())))
    np.testing.assert_allclose(
        explain(entry, tolerance=1e9), explain(entry), **tol(np.float32, terms=300, scale=float(np.abs(want).max()))
    )
    for name in (
        "smooth(integrated_gradients)",
        "smooth(guided_ig)",
        "dropout(ensemble(gradient))",
        "augment(gradient)",
    ):
        assert find_method(name).rounds is None  # a sample of theirs is more than one evaluation, or is none
