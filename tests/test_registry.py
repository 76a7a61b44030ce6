"""The registry: what a signature says, what a value must be, and what fails at import."""

import inspect
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import jaxplain.methods  # noqa: F401  (fills the registry, of which tests take a copy)
from jaxplain import _registry
from jaxplain._errors import InputError, InputTypeError
from jaxplain._registry import METHODS, find_method, method, with_diagnostics
from jaxplain._typing import Count, Fraction, NonNegative, Positive


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test registers stays with it."""
    monkeypatch.setattr(_registry, "METHODS", dict(METHODS))


def knob_of(hint, default, name="knob"):
    """The knob of a method with one keyword."""

    def some_method(f, x, **keyword):
        """Do nothing."""

    plain = [inspect.Parameter(word, inspect.Parameter.POSITIONAL_OR_KEYWORD) for word in ("f", "x")]
    own = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
    some_method.__signature__ = inspect.Signature([*plain, own])
    some_method.__annotations__ = {name: hint}
    method()(some_method)
    return _registry.METHODS.pop("some_method").knobs[name]


def test_a_signature_is_read_once_and_whole():
    @method(axioms=("linearity",), stochastic=True)
    def all_kinds(
        f, x, *, key: Array, baseline: Array, sigma: NonNegative = 0.5, n_samples: Count = 4, chunk: int | None = None
    ):
        """Show all kinds.

        More.
        """
        return f, x, key, baseline, sigma, n_samples, chunk

    entry = _registry.METHODS["all_kinds"]
    assert (entry.supplied, entry.context, tuple(entry.knobs)) == (
        ("f", "x"),
        ("key", "baseline"),
        ("sigma", "n_samples", "chunk"),
    )
    assert [knob.kind for knob in entry.knobs.values()] == ["traced", "static", "execution"]
    assert (entry.axioms, entry.notes, entry.summary) == (("linearity",), {"stochastic": True}, "Show all kinds.")
    assert all_kinds is entry.function and all_kinds.__name__ == "all_kinds"
    key = jax.random.key(0)
    assert all_kinds(1, 2, key=key, baseline=4, n_samples=np.int64(7)) == (1, 2, key, 4, 0.5, 7, None)
    assert find_method("gradient") is METHODS["gradient"]


def define_twice():
    for _ in range(2):

        @method()
        def same_name(f, x):
            """Do nothing."""


def define_unknown_axiom():
    method(axioms=("complete",))


def define_unknown_positional():
    @method()
    def bad(f, image):
        """Do nothing."""


def define_unknown_context():
    @method()
    def bad(f, x, *, reference):
        """Do nothing."""


def define_variadic():
    @method()
    def bad(f, x, **options):
        """Do nothing."""


def define_without_annotation():
    @method()
    def bad(f, x, *, steps=3):
        """Do nothing."""


@pytest.mark.parametrize(
    ("define", "words"),
    [
        (define_twice, "'same_name' is registered twice"),
        (define_unknown_axiom, "unknown axiom 'complete'; known: completeness"),
        (define_unknown_positional, "bad: 'image' is not in the vocabulary"),
        (define_unknown_context, "bad: 'reference' is not in the vocabulary"),
        (define_variadic, "bad: options must be a plain or a keyword-only argument"),
        (define_without_annotation, "bad: steps needs an annotation"),
    ],
)
def test_definitions_that_fail_at_import(define, words):
    with pytest.raises(TypeError, match=words):
        define()


@pytest.mark.parametrize(
    ("hint", "default", "words"),
    [
        (float | None, None, "optional number, which would be static"),
        (NonNegative | None, 0.5, "optional number, which would be static"),
        (jax.Array | None, None, "optional number, which would be static"),
        (dict, {}, "neither static nor traced"),
        (list[int], [], "neither static nor traced"),
        (int | str, 1, "neither static nor traced"),
        (tuple, (), "neither static nor traced"),
        (tuple[int, str], (1, "a"), "neither static nor traced"),
        (int, 0.5, "of type int, got 0.5. It is the default"),
        (Fraction, 2.0, "outside .0, 1.. It is the default"),
        (Count, 0, "outside .1, inf.. It is the default"),
        (Literal["a", "b"], "c", "known: a, b"),
        (tuple[int, ...], 3, "got 3. It is the default"),
        (jax.Array, None, "must be a number, got None"),
    ],
)
def test_annotations_and_defaults_that_fail_at_import(hint, default, words):
    with pytest.raises(TypeError, match=words):
        knob_of(hint, default)


@pytest.mark.parametrize(
    ("hint", "default", "given", "want"),
    [
        (int, 1, np.int64(3), 3),
        (int | None, None, None, None),
        (int | None, None, 5, 5),
        (Count | None, None, 2, 2),
        (bool, True, False, False),
        (str, "a", "b", "b"),
        (str | None, "a", None, None),
        (Literal["a", "b"], "a", np.str_("b"), "b"),
        (Literal["a"] | None, "a", None, None),
        (Literal[1, 2], 1, np.int32(2), 2),
        (tuple[int, ...], (8, 8), [3, np.int64(4), 5], (3, 4, 5)),
        (tuple[int, int], (8, 8), np.array([3, 4]), (3, 4)),
        (tuple[float, ...], (0.5,), (1, 0.25), (1, 0.25)),
        (tuple[int, ...] | None, None, None, None),
    ],
)
def test_static_knobs_take(hint, default, given, want):
    knob = knob_of(hint, default)
    got = knob.check("m", given)
    assert knob.kind == "static" and got == want and type(got) is type(want)
    hash(got)


@pytest.mark.parametrize(
    ("hint", "default", "given", "words"),
    [
        (int, 1, True, "knob must be of type int, got True"),
        (int, 1, 2.0, "must be of type int"),
        (int, 1, None, "must be of type int"),
        (int | None, None, "a", "must be of type int"),
        (Count | None, None, 0, r"knob = 0 lies outside \[1, inf\]"),
        (bool, True, 1, "must be of type bool"),
        (Literal["sum", "mean"], "sum", "man", "unknown knob 'man'; did you mean 'mean'"),
        (Literal["sum"], "sum", None, "unknown knob 'None'"),
        (Literal[1, 2], 1, True, "unknown knob 'True'"),
        (tuple[int, ...], (1,), (1.5,), "must be tuple"),
        (tuple[int, ...], (1,), "12", "must be tuple"),
        (tuple[int, ...], (1,), [[1], [2]], "must be tuple"),
        (tuple[int, int], (1, 1), (1, 2, 3), "must be tuple"),
    ],
)
def test_static_knobs_refuse(hint, default, given, words):
    with pytest.raises(InputError, match=words):
        knob_of(hint, default).check("m", given)


@pytest.mark.parametrize("given", [0.1, np.float64(0.3), 1, np.int8(1), jnp.bfloat16(0.5), np.array([0.0, 1.0])])
@pytest.mark.parametrize("hint", [float, Fraction, jax.Array, Float[Array, "..."]])
def test_numbers_are_data_in_strong_float32(hint, given):
    knob = knob_of(hint, 0.5)
    got = knob.check("m", given)
    assert knob.kind == "traced" and got.dtype == np.float32 and got.shape == np.shape(given)
    np.testing.assert_array_equal(got, np.asarray(given).astype(np.float32))


@pytest.mark.parametrize(
    ("hint", "given", "words"),
    [
        (float, "0.1", "must be a number, got '0.1'"),
        (float, True, "must be a number, got True"),
        (float, None, "must be a number, got None"),
        (float, 1j, "must be a number"),
        (float, [], "must be a number"),
        (float, float("nan"), "must be a finite number"),
        (float, 1e39, "must be a finite number"),
        (Positive, 0.0, r"knob = 0.0 lies outside \(0, inf\]"),
        (NonNegative, np.array([1.0, -1.0]), r"knob = -1.0 lies outside \[0, inf\]"),
        (Fraction, np.array([0.5, 1.5]), r"1.5 lies outside \[0, 1\]"),
    ],
)
def test_numbers_are_refused(hint, given, words):
    with pytest.raises(InputError, match=words):
        knob_of(hint, 0.5).check("m", given)


def test_traced_numbers_pass_through_unchecked():
    knob = knob_of(Fraction, 0.5)
    np.testing.assert_allclose(jax.jit(lambda value: knob.check("m", value) * 2)(3.0), 6.0)


def test_execution_knobs_are_optional_whatever_their_annotation():
    assert knob_of(int | None, None, name="chunk").check("m", None) is None
    with pytest.raises(InputError, match="chunk = 0 lies outside"):
        knob_of(int, 4, name="chunk").check("m", 0)


def test_calls_check_context_and_knobs():
    smoothgrad, key = METHODS["smoothgrad"].function, jax.random.key(0)
    x = jnp.ones(3)
    with pytest.raises(InputTypeError, match=r"smoothgrad: key= is required .* jax\.random\.key\(0\)"):
        smoothgrad(jnp.sum, x)
    with pytest.raises(InputError, match=r"unknown keyword 'n_sample'; did you mean 'n_samples'"):
        smoothgrad(jnp.sum, x, key=key, n_sample=3)
    with pytest.raises(InputError, match=r"sigma = -0.5 lies outside"):
        smoothgrad(jnp.sum, x, key=key, sigma=-0.5)
    with pytest.raises(InputTypeError, match=r"n_samples must be of type int, got 2.0"):
        smoothgrad(jnp.sum, x, key=key, n_samples=2.0)
    with pytest.raises(InputError, match=r"unknown method 'smothgrad'; did you mean .*'smoothgrad'"):
        find_method("smothgrad")


def test_a_form_with_diagnostics_has_the_signature_of_its_method():
    @method()
    def plain(f, x, *, n_steps: Count = 3):
        """Do nothing."""

    @with_diagnostics(plain)
    def plain_with_diagnostics(f, x, *, n_steps):
        return n_steps, {}

    assert _registry.METHODS["plain"].with_diagnostics is plain_with_diagnostics
    assert plain_with_diagnostics(None, None, n_steps=np.int32(5)) == (5, {})
    assert plain_with_diagnostics(None, None) == (3, {})
    assert inspect.signature(plain_with_diagnostics).parameters == inspect.signature(plain).parameters
    with pytest.raises(TypeError, match="the keywords must be those of plain without defaults"):

        @with_diagnostics(plain)
        def other(f, x, *, n_steps: Count = 4):
            return n_steps, {}
