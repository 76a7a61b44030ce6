"""Knobs: keywords of a method that have a default, what their annotations say, and what values they take."""

import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import numpy as np

from jaxplain._errors import InputError, InputTypeError, unknown
from jaxplain._typing import Range

EXECUTION = ("chunk", "implementation")
"""Knobs that only say how to execute."""


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


def read_knob(where: str, name: str, hint: Any, default: Any) -> Knob:
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


def _is_exactly(value: Any, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return isinstance(value, kind)
