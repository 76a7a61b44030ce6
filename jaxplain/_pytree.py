"""Frozen dataclasses that are pytrees: fields are leaves unless they are declared static.

``jax.tree_util.register_dataclass`` is not used: as of JAX 0.11 it makes the structures of two classes equal when they
have as many leaves and equal static fields. Their hashes differ, so a cache of programs confuses them in the one run
out of a hundred in which the few bits agree that it looks at first.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**options: Any) -> Any:
    """Declare a field that is part of the tree's structure: hashable and equal by value, never traced."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static))
def pytree(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass, compared by identity, and register it as a pytree.

    Example:
        >>> @pytree
        ... class Scaled:
        ...     factor: jax.Array
        ...     name: str = static(default="x")
        >>> len(jax.tree.leaves(Scaled(jax.numpy.ones(3))))
        1
    """
    return registered(dataclasses.dataclass(frozen=True, eq=False, repr=True)(cls))


def registered(cls: type[T]) -> type[T]:
    """Register a frozen dataclass as a pytree; its class and its static fields are the structure."""
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    leaves = [field.name for field in fields if not field.metadata.get("static")]
    statics = [field.name for field in fields if field.metadata.get("static")]
    keys = [jax.tree_util.GetAttrKey(name) for name in leaves]

    def flatten(one: T) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(one, name) for name in leaves), tuple(getattr(one, name) for name in statics)

    def flatten_with_keys(one: T) -> tuple[tuple[tuple[Any, Any], ...], tuple[Any, ...]]:
        values, structure = flatten(one)
        return tuple(zip(keys, values, strict=True)), structure

    def unflatten(structure: tuple[Any, ...], values: Any) -> T:
        return cls(**dict(zip(leaves, values, strict=True)), **dict(zip(statics, structure, strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
