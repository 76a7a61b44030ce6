"""The registry of methods and metrics, and what a signature says.

One decorator reads the signature once; the engine, the command line, the table in the documents and the tests over the
registry live on what it finds:

* positional arguments are what the engine supplies;
* keyword-only arguments without a default are context that the caller must decide; with the default None a word of the
  context is optional;
* keyword-only arguments with a default are knobs. ``int``, ``bool``, ``str`` and ``Literal``, optional or not, and
  tuples shape the program and are static; floats and arrays are data and traced, so changing them never recompiles.
  ``chunk`` and ``implementation`` only say how to execute.

A word outside the vocabulary, or a default outside of its own range, fails when the module is imported.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import jax

from jaxplain._errors import InputTypeError, unknown
from jaxplain._knobs import Knob, read_knob

Diagnosed = tuple[jax.Array, dict[str, jax.Array]]
"""A map, and figures of its error: values per score."""
F = TypeVar("F", bound=Callable[..., Any])

RESERVED = ("tolerance", "budget")
"""What is said of any method, so that no knob may be called so."""
SUPPLIED = ("f", "x", "attribution", "mask", "explain")
CONTEXT = (
    *("key", "baseline", "layer", "low", "high", "segments", "segmentations", "composite", "background", "nodes"),
)
AXIOMS = (
    "completeness",
    "implementation_invariance",
    "linearity",
    "dummy",
    "sensitivity",
    "symmetry",
)


@dataclass(frozen=True)
class Rounds:
    """How a method is taken in rounds until its error meets a tolerance.

    Args:
        form: ``(f, x, **keywords)`` to a ``jaxplain.core.estimate.Estimate``.
        keywords: The keywords of the method that the form takes.
        count: The knob that says how many samples the first round has.
        nested: Whether samples are nodes of nested rules; see ``jaxplain.core.estimate.totals``.
        fixed: Knobs with which the method, at once, gives what its rounds give; they cannot be chosen otherwise.
        size: How many of what ``count`` counts are one sample, from context and static knobs.
        evaluations: How many evaluations of the network one sample takes, from the same.
    """

    form: Callable[..., Any]
    keywords: tuple[str, ...]
    count: str
    nested: bool
    fixed: Mapping[str, Any]
    size: Callable[[Mapping[str, Any]], int]
    evaluations: Callable[[Mapping[str, Any]], int]


@dataclass(frozen=True, eq=False)
class Entry:
    """What the registry knows of one method or metric.

    Args:
        name: Its public name.
        function: The checked function; a plain function that anyone may call.
        supplied: Positional arguments, in order.
        context: Keywords that the caller must decide.
        knobs: Keywords with defaults, by name.
        optional: Those among the context that may be left out.
        axioms: What the method promises; the tests over the registry hold it to that.
        with_diagnostics: The function that returns ``(map, {figure: value per score})``, where there is one.
        rounds: How it is taken in rounds, where it can be.
    """

    name: str
    function: Callable[..., Any]
    supplied: tuple[str, ...]
    context: tuple[str, ...]
    knobs: Mapping[str, Knob]
    optional: tuple[str, ...] = ()
    axioms: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    with_diagnostics: Callable[..., Any] | None = None
    rounds: Rounds | None = None

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call the checked function."""
        return self.function(*args, **keywords)

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def check_knobs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked knobs among the given keywords, context passed over.

        Raises:
            InputError: A keyword is neither context nor knob (with the nearest names), or a value does not fit.
        """
        checked = {}
        for name, value in given.items():
            if name in self.context:
                continue
            if name not in self.knobs:
                raise unknown(self.name, "keyword", name, (*self.context, *self.knobs))
            checked[name] = self.knobs[name].check(self.name, value)
        return checked

    def check_context(self, given: Mapping[str, Any], *, later: tuple[str, ...] = ()) -> None:
        """Refuse a call that leaves out what the caller must decide, or that passes a raw key.

        Args:
            given: The keywords of the call.
            later: Context that is supplied at a later time.

        Raises:
            InputTypeError: With the missing keyword.
        """
        for name in self.context:
            if name in later or (name in self.optional and given.get(name) is None):
                continue
            if given.get(name) is None:
                raise InputTypeError(
                    f"{self.name}: {name}= is required and has no default; {_ADVICE.get(name, 'pass it.')}"
                )
            if name == "key":
                check_key(self.name, given[name])
            if name == "baseline" and getattr(given[name], "by_mask", False) and not self.notes.get("fills"):
                raise InputTypeError(
                    f"{self.name}: {type(given[name]).__name__} is a baseline that depends on what is hidden, and this "
                    "method hides nothing; pass an array, a number, or another object of jaxplain.core.baselines."
                )


def check_key(where: str, key: object) -> None:
    """Refuse anything but a single typed key.

    Raises:
        InputTypeError: The key is missing, raw or a batch of keys.
    """
    if not (isinstance(key, jax.Array) and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise InputTypeError(f"{where}: key must be a typed key, got {type(key).__name__}; pass jax.random.key(0).")
    if key.ndim:
        raise InputTypeError(
            f"{where}: key must be one key, got the shape {key.shape}; images and samples are folded in for you."
        )


_ADVICE = {
    "key": "pass a typed key such as jax.random.key(0).",
    "baseline": "pass an array of the example's shape, a number, or an object of jaxplain.core.baselines.",
    "layer": "pass a name that jaxplain.layers lists.",
    "composite": "pass the name of a composite, or a tuple of pairs (predicate, rule).",
    "background": "pass an array (n, *in) of examples to compare with.",
    "segments": "pass integers 0 to n - 1, of the example's shape or without its channels.",
    "segmentations": "pass integer maps (n, *space), one per scale, or jaxplain.core.regions.Segmentations.",
}

METHODS: dict[str, Entry] = {}
WRAPPERS: dict[str, "MakesMethods"] = {}


class MakesMethods(Protocol):
    """What makes a method of a method; see ``jaxplain._wrapping``."""

    @property
    def entry(self) -> Entry:
        """What its own signature says."""
        ...

    def __call__(self, method: Entry, /, **knobs: Any) -> Entry:
        """Return the entry of the wrapped method."""
        ...


def method(*, axioms: tuple[str, ...] = (), **notes: Any) -> Callable[[F], F]:
    """Register an attribution method under its function's name.

    Args:
        axioms: Axioms that it satisfies, from ``AXIOMS``.
        notes: Facts for the engine. ``plain_gradient=True``: the score is only evaluated, differentiated, as it is
            or by rules, and read at layers, so its gradients may be rewritten for speed. ``fills=True``: the baseline
            may be a fill, which depends on what is hidden (``jaxplain.core.imputation``). ``needs_relu=True``: a
            network without ReLU is refused, ``needs_attention=True``: one without self-attention. ``rules=`` is a
            function ``(f, x, **context)`` that returns the method's composite, for the audit. ``coarse=`` are values of
            the knob ``upsample`` for which the map is the one of ``upsample=None`` at one layer, brought to the
            example's space as the last step; a store then keeps the coarse one.

    Raises:
        TypeError: The signature leaves the vocabulary, or the name is taken; at import.

    Example:
        >>> from jaxplain._registry import METHODS
        >>> METHODS["smoothgrad"].context
        ('key',)
    """
    for axiom in axioms:
        if axiom not in AXIOMS:
            raise TypeError(f"method: unknown axiom {axiom!r}; known: {', '.join(AXIOMS)}.")

    def register(function: F) -> F:
        entry = read_entry(function, axioms, notes)
        if entry.name in METHODS:
            raise TypeError(f"method: the name {entry.name!r} is registered twice.")
        METHODS[entry.name] = entry
        return typing.cast(F, entry.function)

    return register


def with_diagnostics(of: Callable[..., Any]) -> Callable[[Callable[..., Diagnosed]], Callable[..., Diagnosed]]:
    """Register the form of a method that also returns figures of its error: ``(map, {name: value per score})``.

    The form names the method's keywords, in any order and without defaults: checks, defaults and annotations are the
    method's, so there is one place to change them.

    Raises:
        TypeError: The keywords are not the method's; at import.
    """

    def register(function: Callable[..., Diagnosed]) -> Callable[..., Diagnosed]:
        known = METHODS[of.__name__]
        keywords = {*known.context, *known.knobs}
        named = [one for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY]
        if {one.name for one in named} != keywords or any(one.default is not one.empty for one in named):
            raise TypeError(
                f"{function.__name__}: the keywords must be those of {known.name} without defaults: {sorted(keywords)}."
            )
        defaults = {name: knob.default for name, knob in known.knobs.items()} | dict.fromkeys(known.optional)

        @functools.wraps(function)
        def checked(*args: Any, **given: Any) -> Diagnosed:
            known.check_context(given)
            return function(*args, **{**defaults, **given, **known.check_knobs(given)})

        returned = inspect.signature(function).return_annotation
        checked.__signature__ = inspect.signature(known.function).replace(return_annotation=returned)  # type: ignore[attr-defined]
        put_entry(replace(known, with_diagnostics=checked))
        return checked

    return register


def put_entry(entry: Entry) -> None:
    """Put an entry in the place of the one of its name."""
    METHODS[entry.name] = entry


def find_method(name: str | Entry) -> Entry:
    """Return a registered method, or a wrapped one by a name such as "smooth(lrp)"; an entry stands for itself.

    Raises:
        InputError: No such method or wrapper; names the nearest ones.
    """
    if isinstance(name, Entry):
        return name
    word, opened, rest = str(name).partition("(")
    if opened and rest.endswith(")"):
        if word not in WRAPPERS:
            raise unknown("jaxplain", "wrapper", word, WRAPPERS)
        return WRAPPERS[word](find_method(rest[:-1]))
    if name not in METHODS:
        raise unknown("jaxplain", "method", str(name), METHODS)
    return METHODS[name]


def read_entry(function: Callable[..., Any], axioms: tuple[str, ...], notes: Mapping[str, Any]) -> Entry:
    """Read a signature.

    Raises:
        TypeError: It leaves the vocabulary.
    """
    name = function.__name__
    hints = typing.get_type_hints(function, include_extras=True)
    supplied, context, optional, knobs = [], [], [], {}
    for parameter in inspect.signature(function).parameters.values():
        word = parameter.name
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            _in_vocabulary(name, word, SUPPLIED)
            supplied.append(word)
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            raise TypeError(f"{name}: {word} must be a plain or a keyword-only argument.")
        elif parameter.default is parameter.empty or (parameter.default is None and word in CONTEXT):
            _in_vocabulary(name, word, CONTEXT)
            context.append(word)
            if parameter.default is None:
                optional.append(word)
        else:
            if word in RESERVED:
                raise TypeError(f"{name}: {word} is said of any method; give the knob another name.")
            if word not in hints:
                raise TypeError(f"{name}: {word} needs an annotation, which says whether it is static or traced.")
            knobs[word] = read_knob(name, word, hints[word], parameter.default)

    @functools.wraps(function)
    def checked(*args: Any, **given: Any) -> Any:
        entry.check_context(given)
        return function(*args, **{**given, **entry.check_knobs(given)})

    entry = Entry(name, checked, tuple(supplied), tuple(context), knobs, tuple(optional), axioms, notes)
    return entry


def _in_vocabulary(where: str, word: str, vocabulary: tuple[str, ...]) -> None:
    if word not in vocabulary:
        raise TypeError(f"{where}: {word!r} is not in the vocabulary {vocabulary}.")
