"""Whether a network treats the examples of a batch one by one, as every explanation of one example supposes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import Array, PyTree
from jaxplain.core.model import Model


@jax.jit
def forward(model: Model, inputs: Sequence[PyTree]) -> PyTree:
    """Run a network on a batch and its further inputs."""
    return model(*inputs)


def check_independent(model: Model, batch: Array, *extras: PyTree, tolerance: float = 1e-3) -> None:
    """Refuse a network whose output for one example depends on the others in the batch.

    The outputs of the batch are compared with those of its first example repeated.

    Args:
        model: The network.
        batch: A few different examples, with the batch axis.
        extras: Further inputs of the network, with the batch axis.
        tolerance: The largest difference that counts as rounding, as a fraction of the largest output.

    Raises:
        InputError: The first example's output changes with its neighbors, or an output lacks the batch axis.
    """
    first = [jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], len(leaf), axis=0), inputs) for inputs in (batch, *extras)]
    among, alone = (jax.tree.leaves(forward(model, inputs)) for inputs in ([batch, *extras], first))
    for output, repeated in zip(among, alone, strict=True):
        if output.ndim == 0 or len(output) != len(batch):
            raise InputError(
                f"model: an output has the shape {output.shape} for a batch of {len(batch)}; "
                "the network must keep the batch as the first axis of every output."
            )
        difference = np.max(np.abs(np.subtract(output[0], repeated[0], dtype=np.float64)), initial=0)
        if difference > tolerance * np.max(np.abs(np.asarray(repeated[0], np.float64)), initial=0):
            raise InputError(
                f"model: the output of an example changes by {difference:.3g} with the others in its batch, as under "
                "batch normalization in training mode; switch to the running statistics or to inference mode."
            )
