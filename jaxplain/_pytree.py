"""Frozen dataclasses that are pytrees: fields are leaves unless they are declared static."""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**options: Any) -> Any:
    """Declare a field that is part of the tree's structure: hashable and equal by value, never traced."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static))
def pytree(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass and register it as a pytree.

    Example:
        >>> @pytree
        ... class Scaled:
        ...     factor: jax.Array
        ...     name: str = static(default="x")
        >>> len(jax.tree.leaves(Scaled(jax.numpy.ones(3))))
        1
    """
    frozen = dataclasses.dataclass(frozen=True, eq=False, repr=True)(cls)
    fields = dataclasses.fields(frozen)  # type: ignore[arg-type]
    return jax.tree_util.register_dataclass(
        frozen,
        data_fields=[field.name for field in fields if not field.metadata.get("static")],
        meta_fields=[field.name for field in fields if field.metadata.get("static")],
    )
