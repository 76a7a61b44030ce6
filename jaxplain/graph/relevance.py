"""Relevance: the map of a rewritten function whose cotangents are relevance divided by activation.

Relevance starts as the score itself, so the cotangent that enters is one, and ``map = x * g`` where ``g`` is what
arrives at the input. Rules that give relevance to entries that may be zero (black pixels) write it to the map directly:
what they return is moved back to the input by the transpose of the reshapes and paddings in front of their block.
"""

from typing import Any

import jax

from jaxplain._typing import Array
from jaxplain.core.gradient import pull_back, scale_maps
from jaxplain.graph.rewrite import Rewritten


def relevance(f: Rewritten, x: Array) -> Array:
    """Return the relevance of the input's entries, ``x * g + what rules wrote``.

    Args:
        f: The score with relevance rules, from ``rewrite``.
        x: The example.

    Returns:
        Shape ``(*t, *in)``, in units of the score.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxplain.graph.rewrite import rewrite
        >>> relevance(rewrite(lambda x: 3.0 * x.sum(), ()), jnp.array([1.0, -2.0]))
        Array([ 3., -6.], dtype=float32)
    """
    placement = f.placement(x)
    read, to_input = jax.vjp(placement.read, x)
    silent = jax.tree.map(jax.numpy.zeros_like, read)
    score, pull = jax.vjp(lambda x, written: placement.value(x, written=written), x, silent)
    cotangent, written = pull_back(pull, score)
    maps = scale_maps(cotangent, x)
    if not jax.tree.leaves(written):
        return maps
    moved: Any = jax.vmap(to_input)(written) if score.ndim else to_input(written)
    return maps + moved[0].astype(maps.dtype)
