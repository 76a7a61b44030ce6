"""Equality by value for the static side of a network, so that wrapping it twice compiles once.

Frameworks compare some of their static fields by identity: two ``functools.partial`` of the same function differ, and
so do two initializers made by the same factory. ``canonical`` turns a value into a tree of tuples that compares by
value; what can only be compared by identity, such as a lambda, stays as it is and is reported by name.
"""

import dataclasses
import enum
import functools
import sys
import types
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxplain._errors import InputTypeError


@dataclass(frozen=True)
class Key:
    """A canonical value whose hash is computed once: jit asks for it at every call."""

    value: Hashable = field(repr=False)
    hash: int = field(compare=False)

    def __hash__(self) -> int:
        return self.hash


def key_of(where: str, fields: Mapping[str, Any]) -> Key:
    """Return a key that is equal for equal values.

    Args:
        where: The function on whose behalf a field that compares by identity is reported.
        fields: The values, under the names by which they are reported.

    Warns:
        UserWarning: Once for all fields that compare by identity: a network with another object there compiles anew.
    """
    seen: dict[str, Any] = {}
    tree = tuple(canonical(value, name, seen) for name, value in fields.items())
    if seen:
        named = ", ".join(f"{name} ({_described(value)})" for name, value in seen.items())
        warnings.warn(
            f"{where}: {named} compares by identity, so a network with another such object compiles anew; "
            "use a function defined at module level, or wrap the network once and keep the model.",
            UserWarning,
            stacklevel=3,
        )
    return Key(tree, hash(tree))


def canonical(value: Any, path: str, seen: dict[str, Any]) -> Hashable:
    """Return a hashable stand-in that is equal for equal values; what compares by identity is added to ``seen``."""
    match value:
        case None | bool() | int() | str() | bytes() | enum.Enum():
            return type(value), value
        case float() | complex():
            return type(value), repr(value)  # so that nan equals nan and 0.0 differs from -0.0
        case functools.partial():
            return functools.partial, *(
                canonical(part, path, seen) for part in (value.func, value.args, value.keywords)
            )
        case Mapping():
            items = {str(name): canonical(item, f"{path}.{name}", seen) for name, item in value.items()}
            return dict, tuple(sorted(items.items(), key=lambda item: item[0]))
        case list() | tuple():
            return type(value), tuple(canonical(item, f"{path}[{k}]", seen) for k, item in enumerate(value))
        case set() | frozenset():
            return frozenset, frozenset(canonical(item, path, seen) for item in value)
        case np.ndarray() | jax.Array():
            return _array(value, path)
        case types.MethodType():
            return types.MethodType, value.__func__, canonical(value.__self__, path, seen)
        case types.FunctionType():
            return _function(value, path, seen)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(_fields(value, path, seen))
    if not isinstance(value, Hashable):
        raise InputTypeError(
            f"{path}: a static field of type {type(value).__name__} is not hashable; make it a tuple or a parameter."
        )
    if not isinstance(value, type) and type(value).__eq__ is object.__eq__ and not _importable(value):
        seen.setdefault(path, value)
    return value


def _fields(value: Any, path: str, seen: dict[str, Any]) -> list[Hashable]:
    result: list[Hashable] = []
    for item in dataclasses.fields(value):
        if item.name == "parent":  # of a Linen module
            continue
        content = getattr(value, item.name, None)
        # A default is one object for all instances, whatever it compares by.
        result.append(canonical(content, f"{path}.{item.name}", {} if content is item.default else seen))
    return result


def _array(value: Any, path: str) -> Hashable:
    if isinstance(value, jax.core.Tracer):
        raise InputTypeError(f"{path}: a traced array cannot be a static field of a network; make it a parameter.")
    array = np.asarray(value)
    return np.ndarray, array.shape, str(array.dtype), array.tobytes()


def _function(value: types.FunctionType, path: str, seen: dict[str, Any]) -> Hashable:
    """Compare what a factory returned by its code and by the values it closed over, anything else by identity."""
    # Made once, with its module or class, or a lambda that its module holds.
    if ("<locals>" not in value.__qualname__ and value.__qualname__ != "<lambda>") or _importable(value):
        return value
    if value.__name__ == "<lambda>":
        seen.setdefault(path, value)
        return value
    try:
        closed = tuple(cell.cell_contents for cell in value.__closure__ or ())
    except ValueError:  # a cell that is not filled yet, as in a function that calls itself
        seen.setdefault(path, value)
        return value
    inner: dict[str, Any] = {}
    parts = canonical((closed, value.__defaults__, value.__kwdefaults__), path, inner)
    if inner:
        seen.setdefault(path, value)
        return value
    return types.FunctionType, value.__module__, value.__qualname__, value.__code__, parts


def _importable(value: Any) -> bool:
    """Tell whether a value is held by its module, under its own or another name, and therefore one object for good."""
    module: Any = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None:
        return False
    found = module
    for name in getattr(value, "__qualname__", "<none>").split("."):
        found = getattr(found, name, None)
    return found is value or any(item is value for item in vars(module).values())


def _described(value: Callable[..., Any] | Any) -> str:
    return getattr(value, "__qualname__", None) or f"a {type(value).__name__}"
