"""A score: the number, or the K numbers, that a method explains; a pure function of one example."""

import jax
from jax import lax

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree
from jaxplain._typing import Array, PyTree
from jaxplain.core.model import Model
from jaxplain.core.targets import Predicted, Target


@pytree
class Score:
    """The target's value of a model at one example: ``(*in) -> (*t)``, with ``*t`` ``()`` or ``(K,)``.

    The network sees a batch of one, since that is how its author wrote it; the score adds and removes that axis.

    Args:
        model: The network.
        target: What to read from its output.
        extras: Further inputs of the network that belong to this example, without batch axis.

    Raises:
        InputError: An output lacks the batch axis, or the target is neither scalar nor vector.
        InputTypeError: The target is an unresolved ``Predicted``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxplain
        >>> model = jaxplain.from_function(jnp.multiply, jnp.array([[1.0, 2.0, 3.0]]))
        >>> score = Score(model, jaxplain.Logit(1))
        >>> jax.grad(score)(jnp.ones(3))
        Array([0., 2., 0.], dtype=float32)
    """

    model: Model
    target: Target
    extras: tuple[PyTree, ...] = ()

    def __call__(self, x: Array) -> Array:
        """Return the score of one example."""
        if isinstance(self.target, Predicted):
            raise InputTypeError(
                "Predicted: the target is not resolved; call jaxplain.explain or jaxplain.run, or resolve it with "
                "target.resolve(output) from a clean forward pass."
            )
        value = self.target(output_of(self.model, x, *self.extras))
        if value.ndim > 1:
            raise InputError(
                f"{type(self.target).__name__}: a target is a score or a vector of them, got the shape {value.shape}; "
                "choose one entry of the output, for example Logit(index)."
            )
        return value


def output_of(model: Model, x: Array, *extras: PyTree) -> PyTree:
    """Return the network's output for one example, without the batch axis."""
    outputs = model(lax.expand_dims(x, (0,)), *jax.tree.map(lambda extra: lax.expand_dims(extra, (0,)), extras))
    return jax.tree.map(_without_batch, outputs)


def _without_batch(output: Array) -> Array:
    if output.ndim == 0 or output.shape[0] != 1:
        raise InputError(
            f"model: an output of shape {output.shape} has no batch axis of length 1 in front; "
            "the network must keep the batch as the first axis of every output."
        )
    return lax.squeeze(output, (0,))
