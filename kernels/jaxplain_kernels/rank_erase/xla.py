"""The plain-JAX form: one comparison and one selection for all steps."""

import jax
import jax.numpy as jnp

Array = jax.Array


def by_selection(image: Array, blank: Array, ranks: Array, counts: Array, restore: Array) -> Array:
    """Select between image and blank, pixel by pixel and step by step."""
    each = (len(counts), *(1,) * ranks.ndim)
    shown = (ranks[None] < counts.reshape(each)) == restore.reshape(each)
    shown = shown.reshape(*shown.shape, *(1,) * (image.ndim - ranks.ndim))
    return jnp.where(shown, image[None], blank[None])
