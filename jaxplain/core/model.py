"""A model: parameters, which are traced, beside the function that applies them to a batch, which is not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

from jaxplain._pytree import pytree, static
from jaxplain._typing import Array, PyTree


@pytree
class Model:
    """A network as a pytree.

    The adapters make it: ``from_linen``, ``from_nnx`` and ``from_function``.

    Args:
        params: The parameters, any pytree of arrays; its leaves are traced, so new weights never recompile.
        apply: ``apply(params, batch, *extras) -> outputs``; the batch is the first axis of every input and output.
            It is part of the program: hashable, and equal for equal networks, so that wrapping a network twice
            compiles once.

    Example:
        >>> import jax.numpy as jnp
        >>> def linear(weights, batch):
        ...     return batch @ weights
        >>> model = Model(jnp.ones((3, 2)), linear)
        >>> model(jnp.ones((4, 3))).shape
        (4, 2)
    """

    params: PyTree
    apply: Callable[..., Any] = static()

    def __call__(self, batch: Array, *extras: Array) -> PyTree:
        """Apply the network to a batch of inputs."""
        return self.apply(self.params, batch, *extras)


def remembered(model: Model) -> Model:
    """Return the same model, whose network JAX traces once per shape and setting, whoever asks, and then copies.

    For use under ``jit`` alone: planning, the clean pass and all methods share the one trace of the network, half of
    what a gradient's program takes to be traced. Evaluated outside of ``jit`` it would be compiled as one program.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def linear(weights, batch):
        ...     print("traced")
        ...     return batch @ weights
        >>> model = remembered(Model(jnp.ones((3, 2)), linear))
        >>> for f in (lambda model, x: model(x), lambda model, x: jnp.sum(model(x))):
        ...     _ = jax.jit(f).trace(model, jnp.ones((4, 3)))
        traced
    """
    return Model(model.params, model.apply if isinstance(model.apply, _Remembered) else _Remembered(model.apply))


@dataclass(frozen=True)
class _Remembered:
    """An ``apply`` that is traced by a program of its own and inlined: the same equations, in the caller's scopes."""

    apply: Callable[..., Any]

    def __call__(self, params: PyTree, *inputs: Array) -> PyTree:
        return _applied(self.apply, params, *inputs)


@partial(jax.jit, static_argnums=0, inline=True)
def _applied(apply: Callable[..., Any], params: PyTree, *inputs: Array) -> PyTree:
    return apply(params, *inputs)
