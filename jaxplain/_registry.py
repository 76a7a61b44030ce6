"""The registry of methods and metrics, and what a signature says.

One decorator reads the signature once; the engine, the command line, the table in the documents and the tests over the
registry live on what it finds:

* positional arguments are what the engine supplies;
* keyword-only arguments without a default are context that the caller must decide;
* keyword-only arguments with a default are knobs. ``int``, ``bool``, ``str`` and ``Literal``, optional or not, and
  tuples shape the program and are static; floats and arrays are data and traced, so changing them never recompiles.
  ``chunk`` and ``implementation`` only say how to execute.

A word outside the vocabulary, or a default outside of its own range, fails when the module is imported.
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

Diagnosed = tuple[jax.Array, dict[str, jax.Array]]
"""A map, and figures of its error: values per score."""
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
    """One keyword of a method that has a default.

    Args:
        name: The keyword.
        default: Its value where none is given.
        kind: "static" shapes the program, "traced" is data, "execution" only says how to execute.
        type: Its annotation, without ``Annotated`` and ``| None``.
        choices: The values of a ``Literal``, None among them where it is optional.
        range: The valid values of a number.
        optional: Whether None is a value.
    """

    name: str
    default: Any
    kind: Literal["static", "traced", "execution"]
    type: Any
    choices: tuple[Any, ...] = ()
    range: Range | None = None
    optional: bool = False

    def check(self, where: str, value: Any) -> Any:
        """Return the value as the program takes it: floats as strong float32, lists as tuples, the rest unchanged.

        Raises:
            InputError: The value is outside the knob's choices or range.
            InputTypeError: The value is of another type.
        """
        if self.choices:
            for choice in self.choices:
                if _is_exactly(value, type(choice)) and value == choice:
                    return choice
            raise unknown(where, self.name, str(value), (str(choice) for choice in self.choices))
        if value is None and self.optional:
            return None
        if self.kind == "traced":
            return self._traced(where, value)
        if typing.get_origin(self.type) is tuple:
            value = self._tuple(where, value)
        elif not _is_exactly(value, self.type):
            raise InputTypeError(f"{where}: {self.name} must be of type {self.type.__name__}, got {value!r}.")
        self._in_range(where, value)
        return int(value) if self.type is int else value

    def _tuple(self, where: str, value: Any) -> tuple[Any, ...]:
        kinds = typing.get_args(self.type)
        entries = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (None,)
        length = len(entries) if kinds[-1] is Ellipsis else len(kinds)
        if len(entries) != length or not all(map(_is_exactly, entries, kinds[:1] * length if length else ())):
            raise InputTypeError(f"{where}: {self.name} must be {self.type}, got {value!r}.")
        return tuple(int(entry) if isinstance(entry, np.integer) else entry for entry in entries)

    def _traced(self, where: str, value: Any) -> Any:
        if isinstance(value, jax.core.Tracer):
            return value
        number = np.asarray(value)
        is_number = number.dtype.kind in "iu" or jax.numpy.issubdtype(number.dtype, jax.numpy.floating)
        if not is_number or number.size == 0:
            raise InputTypeError(f"{where}: {self.name} must be a number, got {value!r}.")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            strong = number.astype(np.float32)
        if not np.all(np.isfinite(strong)):
            raise InputError(f"{where}: {self.name} = {value!r} must be a finite number.")
        self._in_range(where, *number.ravel()[[number.argmin(), number.argmax()]])
        return strong

    def _in_range(self, where: str, *values: Any) -> None:
        for value in values:
            if self.range and value not in self.range:
                raise InputError(f"{where}: {self.name} = {value} lies outside {self.range}.")


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

    def check_context(self, given: Mapping[str, Any], *, later: tuple[str, ...] = ()) -> None:
        """Refuse a call that leaves out what the caller must decide, or that passes a raw key.

        Args:
            given: The keywords of the call.
            later: Context that is supplied at a later time.

        Raises:
            InputTypeError: With the missing keyword.
        """
        for name in self.context:
            if name in later:
                continue
            if given.get(name) is None:
                raise InputTypeError(
                    f"{self.name}: {name}= is required and has no default; {_ADVICE.get(name, 'pass it.')}"
                )
            if name == "key":
                check_key(self.name, given[name])


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
}

METHODS: dict[str, Entry] = {}


def method(*, axioms: tuple[str, ...] = (), **notes: Any) -> Callable[[F], F]:
    """Register an attribution method under its function's name.

    Args:
        axioms: Axioms that it satisfies, from ``AXIOMS``.
        notes: Facts for the engine. ``plain_gradient=True``: the score is only evaluated and differentiated, so its
            gradients may be rewritten for speed. ``needs_relu=True``: a network without ReLU is refused.

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
        defaults = {name: knob.default for name, knob in known.knobs.items()}

        @functools.wraps(function)
        def checked(*args: Any, **given: Any) -> Diagnosed:
            known.check_context(given)
            return function(*args, **{**defaults, **given, **known.check_knobs(given)})

        returned = inspect.signature(function).return_annotation
        checked.__signature__ = inspect.signature(known.function).replace(return_annotation=returned)  # type: ignore[attr-defined]
        METHODS[known.name] = Entry(**{**vars(known), "with_diagnostics": checked})
        return checked

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
            if word not in hints:
                raise TypeError(f"{name}: {word} needs an annotation, which says whether it is static or traced.")
            knobs[word] = _knob(name, word, hints[word], parameter.default)

    @functools.wraps(function)
    def checked(*args: Any, **given: Any) -> Any:
        entry.check_context(given)
        return function(*args, **{**given, **entry.check_knobs(given)})

    entry = Entry(name, checked, tuple(supplied), tuple(context), knobs, axioms, notes)
    return entry


def _knob(where: str, name: str, hint: Any, default: Any) -> Knob:
    """Read a knob from its annotation and hold its default to it.

    Raises:
        TypeError: The annotation is neither static nor traced, or the default does not fit it.
    """
    bounds, optional, inner = _unwrapped(hint)
    choices = (*typing.get_args(inner), *([None] if optional else [])) if typing.get_origin(inner) is Literal else ()
    if name == "chunk":
        knob = Knob(name, default, "execution", int, (), Range(low=1), optional=True)
    elif name in EXECUTION:
        knob = Knob(name, default, "execution", str, choices, optional=True)
    elif choices:
        knob = Knob(name, default, "static", str, choices, optional=optional)
    elif inner in (int, bool, str) or _is_plain_tuple(inner):
        knob = Knob(name, default, "static", inner, (), bounds, optional)
    elif inner is float or getattr(inner, "array_type", inner) is jax.Array:
        if optional:
            raise TypeError(
                f"{where}: {name} is an optional number, which would be static; numbers are data: give it a number "
                "as default, and a knob of its own to what None would mean."
            )
        knob = Knob(name, default, "traced", inner, (), bounds)
    else:
        raise TypeError(f"{where}: {name} has the annotation {hint!r}, neither static nor traced; see {__name__}.")
    try:
        knob.check(where, default)
    except InputError as error:
        raise TypeError(f"{error} It is the default.") from error
    return knob


def _unwrapped(hint: Any) -> tuple[Range | None, bool, Any]:
    """Return the range, whether None is allowed, and the type inside an annotation."""
    if typing.get_origin(hint) is Annotated:
        inner, *notes = typing.get_args(hint)
        bounds, optional, inner = _unwrapped(inner)
        return next((note for note in notes if isinstance(note, Range)), bounds), optional, inner
    parts = typing.get_args(hint)
    others = [part for part in parts if part is not type(None)]
    if len(others) == len(parts) - 1 == 1:
        bounds, _, inner = _unwrapped(others[0])
        return bounds, True, inner
    return None, False, hint


def _is_plain_tuple(hint: Any) -> bool:
    """Whether this is a tuple of one plain type, of a fixed length or of any."""
    kinds = set(typing.get_args(hint)) - {Ellipsis}
    return typing.get_origin(hint) is tuple and len(kinds) == 1 and kinds < {int, float, bool, str}


def _in_vocabulary(where: str, word: str, vocabulary: tuple[str, ...]) -> None:
    if word not in vocabulary:
        raise TypeError(f"{where}: {word!r} is not in the vocabulary {vocabulary}.")


def _is_exactly(value: Any, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return isinstance(value, kind)
