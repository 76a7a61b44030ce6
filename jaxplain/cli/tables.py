"""One table of a job file read into a frozen dataclass: every key known, every value of the declared type."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from jaxplain._errors import InputError, unknown

T = TypeVar("T")


def read_table(cls: type[T], table: Any, where: str, name: str) -> T:
    """Make a dataclass of a table.

    Args:
        cls: The dataclass; the annotations of its fields say what is valid.
        table: The parsed table.
        where: The job file, for messages.
        name: The table's dotted name.

    Raises:
        InputError: An unknown key (the nearest is named), a missing one, or a value of another type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    check_keys(table, fields, where, name)
    hints = typing.get_type_hints(cls)
    for field in fields.values():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in table:
            raise InputError(f"{where}: {dotted(name, field.name)} is missing; add it.")
    values = {key: checked(value, hints[key], where, dotted(name, key)) for key, value in table.items()}
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def check_keys(table: Any, known: typing.Iterable[str], where: str, name: str) -> None:
    """Refuse what is no table, and keys that are not known.

    Raises:
        InputError: With the nearest known key.
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: [{name}] must be a table of keys, got {table!r}.")
    options = tuple(known)
    for key in table:
        if key not in options:
            raise unknown(where, f"key in [{name}]" if name else "key", key, options)


def checked(value: Any, hint: Any, where: str, key: str) -> Any:
    """Return a value as its annotation asks: lists as tuples, whole numbers as floats where a float is declared.

    Raises:
        InputError: The value is of another type.
    """
    found = _fit(value, hint)
    if found is _MISFIT:
        choices = _choices(hint)
        if isinstance(value, str) and choices:
            raise unknown(where, f"value of {key}", value, choices)
        raise InputError(f"{where}: {key} = {value!r}; expected {_words(hint)}.")
    return found


def dotted(name: str, key: str) -> str:
    """Return the full name of a key."""
    return f"{name}.{key}" if name else key


_MISFIT = object()


def _fit(value: Any, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return next((found for option in arguments if (found := _fit(value, option)) is not _MISFIT), _MISFIT)
    if origin is Literal:
        return value if value in arguments else _MISFIT
    if origin is tuple:
        return _fit_list(value, arguments)
    if isinstance(origin or hint, type) and issubclass(origin or hint, Mapping):
        return value if isinstance(value, Mapping) else _MISFIT
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value if type(value) is hint else _MISFIT


def _fit_list(value: Any, arguments: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return _MISFIT
    if len(arguments) == 2 and arguments[1] is ...:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        return _MISFIT
    entries = tuple(_fit(entry, hint) for entry, hint in zip(value, arguments, strict=True))
    return _MISFIT if any(entry is _MISFIT for entry in entries) else entries


def _choices(hint: Any) -> tuple[str, ...]:
    if typing.get_origin(hint) is Literal:
        return tuple(choice for choice in typing.get_args(hint) if isinstance(choice, str))
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(choice for option in typing.get_args(hint) for choice in _choices(option))
    return ()


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): ""}


def _words(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(word for word in map(_words, arguments) if word)
    if origin is Literal:
        return " or ".join(repr(choice) for choice in arguments)
    if origin is tuple:
        what = _WORDS.get(arguments[0], "values").removeprefix("a ")
        return f"a list of {what}s" if arguments[-1] is ... else f"a list of {len(arguments)} {what}s"
    return _WORDS.get(hint, "a table of keys")
