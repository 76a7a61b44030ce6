"""Bare functions, and everything else that is a function with parameters, as models."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jaxplain._errors import InputTypeError
from jaxplain._typing import Array, PyTree
from jaxplain.adapters.identity import Key, key_of
from jaxplain.core.model import Model


@dataclass(frozen=True)
class FunctionApply:
    """A function of parameters and batch, equal by value."""

    key: Key
    function: Callable[..., Any] = field(compare=False)

    def __call__(self, params: PyTree, batch: Array, *extras: PyTree) -> PyTree:
        """Apply the network."""
        return self.function(params, batch, *extras)


def from_function(f: Callable[..., PyTree], params: PyTree) -> Model:
    """Make a model of a function and its parameters.

    Args:
        f: ``f(params, batch, *extras) -> outputs``, the batch being the first axis of every input and output. Layers
            can be named by ``jax.named_scope`` and ``jax.ad_checkpoint.checkpoint_name``.
        params: Any pytree of arrays; they are traced, so new weights never recompile.

    Returns:
        The model. A module of Equinox or Penzai is a pytree of parameters itself: split it into arrays and the rest,
        as in the example.

    Warns:
        UserWarning: ``f`` compares by identity, as a lambda does.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxplain import from_function
        >>> def linear(weights, batch):
        ...     return batch @ weights
        >>> model = from_function(linear, jnp.ones((3, 2)))
        >>> model(jnp.ones((4, 3))).shape
        (4, 2)
    """
    if not callable(f):
        raise InputTypeError(f"from_function: expected a function f(params, batch), got {type(f).__name__}.")
    return Model(params, FunctionApply(key_of("from_function", {"f": f}), f))
