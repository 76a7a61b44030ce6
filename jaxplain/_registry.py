"""The registry of methods and metrics, and what a signature says.

One decorator reads the signature once; the engine, the command line, the table in the documents and the tests over the
registry live on what it finds:

* positional arguments are what the engine supplies;
* keyword-only arguments without a default are context that the caller must decide;
* keyword-only arguments with a default are knobs. ``int``, ``bool``, ``str``, ``Literal``, tuples and optional values
  shape the program and are static; floats and arrays are data and are traced, so that changing them never recompiles.
  ``chunk`` and ``implementation`` only say how to execute.

A word outside the vocabulary fails when the module is imported.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import jax
import numpy as np

from jaxplain._errors import InputError, InputTypeError, unknown
from jaxplain._typing import Range

F = TypeVar("F", bound=Callable[..., Any])

SUPPLIED = ("f", "x", "attribution", "mask", "explain")
CONTEXT = ("key", "baseline", "layer", "low", "high", "segments", "composite", "background")
EXECUTION = ("chunk", "implementation")
AXIOMS = (
    "completeness",
    "implementation_invariance",
    "linearity",
    "dummy",
    "sensitivity",
    "symmetry",
    "class_discriminative",
)


@dataclass(frozen=True)
class Knob:
    """One keyword of a method that has a default."""

    name: str
    default: Any
    kind: Literal["static", "traced", "execution"]
    type: Any
    choices: tuple[Any, ...] = ()
    range: Range | None = None

    def check(self, where: str, value: Any) -> Any:
        """Return the value as the program takes it: floats as strong float32, the rest unchanged.

        Raises:
            InputError: The value is outside the knob's choices or range.
            InputTypeError: The value is of another type.
        """
        if self.choices and value not in self.choices:
            raise unknown(where, self.name, str(value), (str(choice) for choice in self.choices))
        if self.kind == "traced":
            return self._traced(where, value)
        if value is not None and self.type in (int, bool, str) and not _is_exactly(value, self.type):
            raise InputTypeError(f"{where}: {self.name} must be of type {self.type.__name__}, got {value!r}.")
        if isinstance(value, list):
            value = tuple(value)
        if self.range and value is not None and value not in self.range:
            raise InputError(f"{where}: {self.name} = {value} lies outside {self.range}.")
        return int(value) if self.type is int and value is not None else value

    def _traced(self, where: str, value: Any) -> Any:
        if isinstance(value, jax.core.Tracer):
            return value
        try:
            number = np.asarray(value, np.float32)
        except (TypeError, ValueError) as error:
            raise InputTypeError(f"{where}: {self.name} must be a number, got {value!r}.") from error
        if isinstance(value, bool) or not np.all(np.isfinite(number)):
            raise InputError(f"{where}: {self.name} = {value!r} must be a finite number.")
        if self.range and number.ndim == 0 and float(value) not in self.range:
            raise InputError(f"{where}: {self.name} = {value} lies outside {self.range}.")
        return number


@dataclass(frozen=True, eq=False)
class Entry:
    """What the registry knows of one method or metric.

    Args:
        name: Its public name.
        function: The checked function; a plain function that anyone may call.
        supplied: Positional arguments, in order.
        context: Keywords that the caller must decide.
        knobs: Keywords with defaults, by name.
        axioms: What the method promises; the tests over the registry hold it to that.
        with_diagnostics: The function that returns ``(map, {figure: value per score})``, where there is one.
    """

    name: str
    function: Callable[..., Any]
    supplied: tuple[str, ...]
    context: tuple[str, ...]
    knobs: Mapping[str, Knob]
    axioms: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    with_diagnostics: Callable[..., Any] | None = None

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

    def check_context(self, given: Mapping[str, Any]) -> None:
        """Refuse a call that leaves out what the caller must decide.

        Raises:
            InputTypeError: With the missing keyword.
        """
        for name in self.context:
            if given.get(name) is None:
                raise InputTypeError(
                    f"{self.name}: {name}= is required and has no default; {_ADVICE.get(name, 'pass it.')}"
                )


_ADVICE = {
    "key": "pass a typed key such as jax.random.key(0).",
    "baseline": "pass an array of the example's shape, a number, or an object of jaxplain.core.baselines.",
    "layer": "pass a name that jaxplain.layers lists.",
}

METHODS: dict[str, Entry] = {}


def method(*, axioms: tuple[str, ...] = (), **notes: Any) -> Callable[[F], F]:
    """Register an attribution method under its function's name.

    Args:
        axioms: Axioms that it satisfies, from ``AXIOMS``.
        notes: Facts for the tests and the engine, such as ``stochastic`` or ``needs_layer``.

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
        entry = _read(function, axioms, notes)
        if entry.name in METHODS:
            raise TypeError(f"method: the name {entry.name!r} is registered twice.")
        METHODS[entry.name] = entry
        return typing.cast(F, entry.function)

    return register


def with_diagnostics(of: Callable[..., Any]) -> Callable[[F], F]:
    """Register the form of a method that also returns figures of its error: ``(map, {name: value per score})``."""

    def register(function: F) -> F:
        known = METHODS[of.__name__]
        entry = _read(function, known.axioms, known.notes)
        if (entry.context, dict(entry.knobs)) != (known.context, dict(known.knobs)):
            raise TypeError(f"{function.__name__}: the signature must be that of {known.name}.")
        METHODS[known.name] = Entry(**{**vars(known), "with_diagnostics": entry.function})
        return typing.cast(F, entry.function)

    return register


def find_method(name: str) -> Entry:
    """Return a registered method.

    Raises:
        InputError: No such method; names the nearest ones.
    """
    if name not in METHODS:
        raise unknown("jaxplain", "method", str(name), METHODS)
    return METHODS[name]


def _read(function: Callable[..., Any], axioms: tuple[str, ...], notes: Mapping[str, Any]) -> Entry:
    name = function.__name__
    hints = typing.get_type_hints(function, include_extras=True)
    supplied, context, knobs = [], [], {}
    for parameter in inspect.signature(function).parameters.values():
        word = parameter.name
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            _in_vocabulary(name, word, SUPPLIED)
            supplied.append(word)
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            raise TypeError(f"{name}: {word} must be a plain or a keyword-only argument.")
        elif parameter.default is parameter.empty:
            _in_vocabulary(name, word, CONTEXT)
            context.append(word)
        else:
            knobs[word] = _knob(name, word, hints[word], parameter.default)

    @functools.wraps(function)
    def checked(*args: Any, **given: Any) -> Any:
        entry.check_context(given)
        return function(*args, **{**given, **entry.check_knobs(given)})

    entry = Entry(name, checked, tuple(supplied), tuple(context), knobs, axioms, notes)
    return entry


def _knob(where: str, name: str, hint: Any, default: Any) -> Knob:
    bounds = None
    if typing.get_origin(hint) is Annotated:
        hint, *extra = typing.get_args(hint)
        bounds = next((note for note in extra if isinstance(note, Range)), None)
    if name in EXECUTION:
        return Knob(
            name, default, "execution", int if name == "chunk" else str, (), Range(low=1) if name == "chunk" else None
        )
    choices = _choices(hint)
    if choices:
        return Knob(name, default, "static", str, choices)
    if hint in (int, bool, str) or typing.get_origin(hint) is tuple or type(None) in typing.get_args(hint):
        return Knob(name, default, "static", hint, (), bounds)
    if hint is float or (isinstance(hint, type) and issubclass(hint, jax.Array)):
        return Knob(name, default, "traced", hint, (), bounds)
    raise TypeError(f"{where}: the annotation {hint!r} of {name} is neither static nor traced; see jaxplain._registry.")


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return the values of a ``Literal``, and None where it is optional."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    parts = typing.get_args(hint)
    if not parts or not all(part is type(None) or typing.get_origin(part) is Literal for part in parts):
        return ()
    return tuple(value for part in parts for value in (typing.get_args(part) or (None,)))


def _in_vocabulary(where: str, word: str, vocabulary: tuple[str, ...]) -> None:
    if word not in vocabulary:
        raise TypeError(f"{where}: {word!r} is not in the vocabulary {vocabulary}.")


def _is_exactly(value: Any, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    return isinstance(value, kind)
