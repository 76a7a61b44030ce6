"""The plain-JAX form: masks as small matrix products, then one elementwise pass."""

import jax
import jax.numpy as jnp

from jaxplain_kernels.mask_blend.masks import upsample

Array = jax.Array


def blend(image: Array, baseline: Array, masks: Array, shifts: Array) -> Array:
    """Return ``image * mask + baseline * (1 - mask)`` per mask."""
    axes = masks.ndim - 1
    wide = image.dtype if image.dtype.itemsize >= 4 else jnp.float32
    kept = upsample(masks.astype(wide), shifts, shape=image.shape[:axes])
    kept = jnp.expand_dims(kept, tuple(range(1 + axes, 1 + image.ndim)))
    seen, unseen = (values.astype(wide)[None] for values in (image, baseline))
    return (seen * kept + unseen * (1 - kept)).astype(image.dtype)
