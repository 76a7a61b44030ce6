"""The kernels: masks are made in registers, block by block, so that only the masked copies are written.

All axes but the last are stretched beforehand, which is little: a mask of 224x224 from 8x8 cells is then the product of
224x8 rows with 8x224 columns. In the plain form XLA writes and reads every mask once, 8 of 20 bytes per pixel of a
color image in float32, so at best a kernel takes 0.6 of the time.
"""

from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain_kernels.choice import present
from jaxplain_kernels.mask_blend.masks import PRECISION, axis_weights
from jaxplain_kernels.mask_blend.xla import blend
from jaxplain_kernels.mosaic import gpu_interpreter, gpu_load

Array = jax.Array
HEIGHT = 64
"""Rows of a warpgroup's block."""
WIDTH = 128
"""Most columns of it: 64 sums per thread."""
TILE = 8
"""What the columns of a GPU's block, and the rows of a TPU's, are a multiple of."""
LARGEST_BLOCK = 1 << 18
"""Values that a TPU's fast memory holds of image, baseline and result, twice each."""


def by_kernel(image: Array, baseline: Array, masks: Array, shifts: Array, *, device: str = "") -> Array:
    """Blend without writing the masks.

    Args:
        image: float32, bfloat16 or float16.
        baseline: Of the image's shape and dtype.
        masks: ``(n, *grid)``.
        shifts: ``(n, axes)``.
        device: "cuda" or "tpu", with "interpreted " before it to run on the CPU; the present device by default.
    """
    return _blended(device or present(), image, baseline, masks, shifts)


def matrix(image: tuple[int, ...], axes: int) -> tuple[int, int]:
    """Return the rows and columns of an image as a matrix: the last masked axis and the channels lie in a row."""
    return prod(image[: axes - 1]), prod(image[axes - 1 :])


def width_of_block(columns: int) -> int:
    """Return the widest block of columns that leaves no rest, or 0."""
    return max((width for width in range(TILE, WIDTH + 1, TILE) if columns % width == 0), default=0)


def height_of_block(rows: int, columns: int) -> int:
    """Return the tallest block of rows that leaves no rest and fits a TPU's memory, or 0."""
    heights = range(TILE, min(rows, LARGEST_BLOCK // columns) + 1, TILE)
    return max((height for height in heights if rows % height == 0), default=0)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blended(device: str, image: Array, baseline: Array, masks: Array, shifts: Array) -> Array:
    *along, last = axis_weights(jnp.dtype("float32"), masks.shape[1:], shifts, image.shape[: masks.ndim - 1])
    rows = masks.astype(jnp.float32)
    for weights in along:
        rows = lax.dot_general(rows, weights, (((1,), (2,)), ((0,), (0,))), precision=PRECISION)
    rows = rows.reshape(*rows.shape[:2], -1)
    shape = matrix(image.shape, masks.ndim - 1)
    columns = jnp.repeat(jnp.swapaxes(last, 1, 2), shape[1] // last.shape[1], axis=2)
    run = _on_tpu if device.endswith("tpu") else _on_gpu
    interpret = device.startswith("interpreted")
    found = run(rows, columns, image.reshape(shape), baseline.reshape(shape), interpret=interpret)
    return found.reshape(len(masks), *image.shape)


def _forward(device: str, *arrays: Array) -> tuple[Array, tuple[Array, ...]]:
    return _blended(device, *arrays), arrays


def _backward(device: str, kept: tuple[Array, ...], cotangent: Array) -> tuple[Any, ...]:
    image, baseline, masks, shifts = kept
    _, pull = jax.vjp(lambda image, baseline, masks: blend(image, baseline, masks, shifts), image, baseline, masks)
    return (*pull(cotangent), None)


_blended.defvjp(_forward, _backward)


def _on_gpu(rows: Array, columns: Array, image: Array, baseline: Array, *, interpret: bool) -> Array:
    from jax.experimental import pallas
    from jax.experimental.pallas import mosaic_gpu

    (n, cells, length), width = rows.shape, width_of_block(image.shape[1])
    layout = mosaic_gpu.Layout.WGMMA

    def body(rows: Any, columns: Any, image: Any, baseline: Any, out: Any) -> None:
        mask = lax.axis_index("mask")
        # The last block starts early, and writes some rows again.
        top = jnp.minimum(lax.axis_index("row") * HEIGHT, length - HEIGHT)
        down, across = pallas.ds(top, HEIGHT), pallas.ds(lax.axis_index("column") * width, width)

        def read(part: Any, own: Any = layout) -> Array:
            return part[...] if interpret else gpu_load(part, own)

        def summand(cell: int) -> Array:
            of_rows = read(rows.at[mask, cell, down], layout.reduce(1))
            of_columns = read(columns.at[mask, cell, across], layout.reduce(0))
            block = (HEIGHT, width)
            return lax.broadcast_in_dim(of_rows, block, (0,)) * lax.broadcast_in_dim(of_columns, block, (1,))

        kept = summand(0)
        for cell in range(1, cells):
            kept = kept + summand(cell)
        seen, unseen = (read(ref.at[down, across]).astype(jnp.float32) for ref in (image, baseline))
        out[mask, down, across] = (seen * kept + unseen * (1 - kept)).astype(out.dtype)

    kernel = mosaic_gpu.kernel(
        body,
        out_type=jax.ShapeDtypeStruct((n, *image.shape), image.dtype),
        grid=(n, -(-length // HEIGHT), image.shape[1] // width),
        grid_names=("mask", "row", "column"),
        interpret=gpu_interpreter() if interpret else None,
    )
    found: Array = kernel(rows, columns, image, baseline)
    return found


def _on_tpu(rows: Array, columns: Array, image: Array, baseline: Array, *, interpret: bool) -> Array:
    from jax.experimental import pallas

    def body(rows: Any, columns: Any, image: Any, baseline: Any, out: Any) -> None:
        kept = jnp.dot(rows[...], columns[...], precision=PRECISION, preferred_element_type=jnp.float32)
        seen, unseen = (ref[...].astype(jnp.float32) for ref in (image, baseline))
        out[...] = (seen * kept + unseen * (1 - kept)).astype(out.dtype)

    (n, cells, length), width = rows.shape, image.shape[1]
    height = height_of_block(length, width)
    block = pallas.BlockSpec((height, width), lambda row, mask: (row, 0))  # stays while the masks go by
    found: Array = pallas.pallas_call(
        body,
        grid=(length // height, n),
        in_specs=[
            pallas.BlockSpec((None, height, cells), lambda row, mask: (mask, row, 0)),
            pallas.BlockSpec((None, cells, width), lambda row, mask: (mask, 0, 0)),
            block,
            block,
        ],
        out_specs=pallas.BlockSpec((None, height, width), lambda row, mask: (mask, row, 0)),
        out_shape=jax.ShapeDtypeStruct((n, *image.shape), image.dtype),
        interpret=interpret,
    )(jnp.swapaxes(rows, 1, 2), columns, image, baseline)
    return found
