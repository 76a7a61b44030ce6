"""Background sets: examples that stand for what the network sees elsewhere, ``(n, *in)``."""

import numpy as np

from jaxplain._errors import InputError
from jaxplain._typing import Array, ScoreFn
from jaxplain.core.sampling import mean, reduce_over


def check_background(where: str, background: Array | np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse what is no set of examples.

    Args:
        where: Who asks, for messages.
        background: ``(n, *in)``.
        shape: Shape of one example.

    Raises:
        InputError: With both shapes and the remedy.
    """
    if background.ndim != len(shape) + 1 or background.shape[1:] != shape or not len(background):
        raise InputError(
            f"{where}: background of shape {background.shape} is no set of examples of shape {shape}; pass (n, *in) "
            "with n at least 1."
        )


def mean_score(f: ScoreFn, background: Array, *, chunk: int | None = None) -> Array:
    """Return the mean score of a background set: one forward pass for each of its examples.

    Args:
        f: Score of one example.
        background: ``(n, *in)``.
        chunk: Examples evaluated together.

    Example:
        >>> import jax.numpy as jnp
        >>> float(mean_score(jnp.sum, jnp.array([[1.0, 2.0], [4.0, 5.0]])))
        6.0
    """
    return reduce_over(lambda i: f(background[i]), len(background), mean, chunk=chunk)
