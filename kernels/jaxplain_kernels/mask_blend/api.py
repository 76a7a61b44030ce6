"""Masked copies of an image, RISE's: ``image * mask + baseline * (1 - mask)`` for coarse masks at random shifts.

The masks exist on the fine grid within a chunk only; see ``masks.py`` for their convention and for the sums of them
that RISE ends with.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplain_kernels.choice import Form, Op
from jaxplain_kernels.mask_blend.pallas import HEIGHT, TILE, by_kernel, height_of_block, matrix, width_of_block
from jaxplain_kernels.mask_blend.xla import blend
from jaxplain_kernels.mosaic import no_mosaic

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
        implementation: "auto", or a form: "xla", "pallas" (needs a GPU or TPU).

    Returns:
        ``(n, *space, *channels)`` in the dtype of the image.

    Raises:
        NotImplementedError: The form asked for by name cannot serve, with the reason.

    References:
        Petsiuk, Das and Saenko 2018, RISE: randomized input sampling for explanation, arXiv:1806.07421.

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.array([6.0, 6.0, 6.0, 6.0])
        >>> jnp.round(mask_blend(image, 0 * image, jnp.array([[1.0, 0.0]]), jnp.array([[1]])))
        Array([[6., 4., 2., 0.]], dtype=float32)
    """
    spec = Spec(image.shape, image.dtype, masks.shape[1:], len(masks))
    found: Array = OP.run(spec, image, baseline, masks, shifts, implementation=implementation)
    return found


def _no_kernel(spec: Spec, platform: str) -> str:
    rows, columns = matrix(spec.image, len(spec.grid))
    reasons = [no_mosaic(platform)]
    if platform == "cuda" and rows < HEIGHT:
        reasons.append(f"{rows} rows are less than {HEIGHT}")
    if platform == "cuda" and not width_of_block(columns):
        reasons.append(f"rows of {columns} values are no multiple of {TILE}")
    if platform == "tpu" and not height_of_block(rows, columns):
        reasons.append(f"{rows} rows are no multiple of {TILE}, or {TILE} of them exceed the fast memory")
    if spec.dtype not in (jnp.float32, jnp.bfloat16, jnp.float16):
        reasons.append(f"values of {spec.dtype} are not supported")
    return "; ".join(filter(None, reasons))


def _typical() -> Mapping[str, Spec]:
    from jaxplain_kernels.mask_blend.cases import LARGE

    return {name: Spec(image, jnp.dtype("float32"), grid, n) for name, (image, grid, n) in LARGE.items()}


OP = Op(
    "mask_blend",
    (
        Form("xla", lambda spec, *arrays: blend(*arrays)),
        Form("pallas", lambda spec, *arrays: by_kernel(*arrays), _no_kernel),
    ),
    typical=_typical,  # no row yet: the kernel waits for a figure from a device that it runs on
)
