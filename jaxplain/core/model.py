"""A model: parameters, which are traced, beside the function that applies them to a batch, which is not."""

from collections.abc import Callable
from typing import Any

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
