"""Masked copies of an image, RISE's: ``image * mask + baseline * (1 - mask)`` for coarse masks at random shifts.

The masks exist on the fine grid within a chunk only; see ``masks.py`` for their convention and for the sums of them
that RISE ends with.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplain_kernels.choice import Form, Op
from jaxplain_kernels.mask_blend import xla

Array = jax.Array


class Spec(NamedTuple):
    """What is static."""

    image: tuple[int, ...]
    dtype: jnp.dtype
    grid: tuple[int, ...]
    masks: int


def mask_blend(image: Array, baseline: Array, masks: Array, shifts: Array, *, implementation: str = "auto") -> Array:
    """Blend an image with a baseline by each of several masks.

    ``image * mask + baseline * (1 - mask)``, computed in float32 or wider.

    Args:
        image: ``(*space, *channels)``; as many leading axes are masked as the masks have cells along.
        baseline: What stands where the mask is 0, in the shape and dtype of the image.
        masks: ``(n, *grid)``, 1 where the image is kept.
        shifts: ``(n, axes)``, whole numbers from 0 to ``cell_sizes(space, grid)`` less one.
        implementation: "auto", or a form: "xla".

    Returns:
        ``(n, *space, *channels)`` in the dtype of the image.

    References:
        Petsiuk, Das and Saenko 2018, RISE: randomized input sampling for explanation, arXiv:1806.07421.

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.array([6.0, 6.0, 6.0, 6.0])
        >>> mask_blend(image, 0 * image, jnp.array([[1.0, 0.0]]), jnp.array([[1]]))
        Array([[5.       , 3.       , 1.0000001, 1.0000001]], dtype=float32)
    """
    spec = Spec(image.shape, image.dtype, masks.shape[1:], len(masks))
    found: Array = OP.run(spec, image, baseline, masks, shifts, implementation=implementation)
    return found


def _typical() -> Mapping[str, Spec]:
    from jaxplain_kernels.mask_blend.cases import LARGE

    return {name: Spec(image, jnp.dtype("float32"), grid, n) for name, (image, grid, n) in LARGE.items()}


OP = Op("mask_blend", (Form("xla", lambda spec, *arrays: xla.blend(*arrays)),), (), _typical)
