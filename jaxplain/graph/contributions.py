"""Contributions: what each entry of the input adds to the change of a score from a reference to the example."""

from collections.abc import Callable

import jax

from jaxplain._typing import Array
from jaxplain.core.gradient import pull_back, scale_maps
from jaxplain.graph.composites.difference.composite import DEEPLIFT
from jaxplain.graph.pairs import rewrite_pair
from jaxplain.graph.placing import Unknown


def contributions(
    f: Callable[[Array], Array], x: Array, reference: Array, *, unknown: Unknown = "raise", where: str = "contributions"
) -> Array:
    """Return ``(x - x') m`` with DeepLIFT's multipliers m; it sums to ``f(x) - f(x')``.

    Args:
        f: The score.
        x: The example.
        reference: Another one, with which it is compared.
        unknown: What happens to a block without a rule: "raise" or "gradient".
        where: What errors name.

    Returns:
        Shape ``(*t, *in)``, in units of the score. K scores share one evaluation.

    Example:
        >>> import jax.numpy as jnp
        >>> contributions(lambda x: x[0] * x[1], jnp.array([3.0, 2.0]), jnp.array([1.0, 1.0]))
        Array([3., 2.], dtype=float32)
    """
    of_pair = rewrite_pair(f, DEEPLIFT, unknown=unknown, where=where)
    score, pull = jax.vjp(lambda example: of_pair(example, reference), x)
    (multipliers,) = pull_back(pull, score)
    return scale_maps(multipliers, x - reference)
