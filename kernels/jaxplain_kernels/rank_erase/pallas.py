"""The kernels: a block of pixels is read once, and its steps are written one after the other.

XLA's fusion reads image, blank and ranks again for every step, though mostly from cache; both forms write the same.
Under ``vmap`` the images become another axis of the grid, and ranks that they share stay one array.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain_kernels.choice import present
from jaxplain_kernels.mosaic import gpu_interpreter

Array = jax.Array
BLOCK = 1024
"""Values of one block: two vectors of 16 bytes for each of a warpgroup's 128 threads, or one TPU tile."""
LANES = 128
LARGEST_BLOCK = 1 << 18
"""Values that a TPU's fast memory holds of image, blank, ranks and result, twice each."""


def by_kernel(image: Array, blank: Array, ranks: Array, counts: Array, restore: Array, *, device: str = "") -> Array:
    """Write all steps in one pass.

    Args:
        image: The image; its size is a multiple of ``BLOCK``.
        blank: Of the same shape.
        ranks: Of the image's first axes.
        counts: ``(steps,)`` int32.
        restore: ``(steps,)`` bool.
        device: "cuda" or "tpu", with "interpreted " before it to run on the CPU; the present device by default.
    """
    channels = image.size // ranks.size
    every = jnp.repeat(ranks.reshape(-1), channels) if channels > 1 else ranks.reshape(-1)
    name = device or present()
    found = _erased(name, counts, restore.astype(jnp.int32), every, image.reshape(-1), blank.reshape(-1))
    return found.reshape(len(counts), *image.shape)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _erased(device: str, counts: Array, restore: Array, ranks: Array, image: Array, blank: Array) -> Array:
    run = _on_tpu if device.endswith("tpu") else _on_gpu
    return run(counts, restore, ranks, image, blank, interpret=device.startswith("interpreted"))


def _forward(device: str, *arrays: Array) -> tuple[Array, tuple[Array, ...]]:
    return _erased(device, *arrays), arrays[:3]


def _backward(device: str, kept: tuple[Array, ...], cotangent: Array) -> tuple[Any, ...]:
    counts, restore, ranks = kept
    shown = (ranks[None] < counts[:, None]) == (restore != 0)[:, None]
    of_image, of_blank = (jnp.sum(jnp.where(own, cotangent, 0), axis=0) for own in (shown, ~shown))
    return None, None, None, of_image, of_blank


_erased.defvjp(_forward, _backward)


def _on_gpu(counts: Array, restore: Array, ranks: Array, image: Array, blank: Array, *, interpret: bool) -> Array:
    from jax.experimental import pallas
    from jax.experimental.pallas import mosaic_gpu

    # Values of 16 bits are read eight at a time, those of 32 bits four, and ranks in the places of their pixels.
    layout = mosaic_gpu.Layout.WG_STRIDED((BLOCK,), vec_size=16 // image.dtype.itemsize)

    def body(counts: Any, restore: Any, ranks: Any, image: Any, blank: Any, out: Any) -> None:
        at = pallas.ds(lax.axis_index("block") * BLOCK, BLOCK)
        read = (lambda ref: ref[at]) if interpret else (lambda ref: mosaic_gpu.layout_cast(ref[at], layout))
        order, pixels, others = read(ranks), read(image), read(blank)

        def write(step: Array, _: None) -> None:
            shown = (order < counts[step]) == (restore[step] != 0)
            out[step, at] = jnp.where(shown, pixels, others)

        lax.fori_loop(0, len(counts), write, None)

    kernel = mosaic_gpu.kernel(
        body,
        out_type=jax.ShapeDtypeStruct((len(counts), image.size), image.dtype),
        grid=(image.size // BLOCK,),
        grid_names=("block",),
        interpret=gpu_interpreter() if interpret else None,
    )
    found: Array = kernel(counts, restore, ranks, image, blank)
    return found


def _on_tpu(counts: Array, restore: Array, ranks: Array, image: Array, blank: Array, *, interpret: bool) -> Array:
    from jax.experimental import pallas
    from jax.experimental.pallas import tpu

    def body(counts: Any, restore: Any, ranks: Any, image: Any, blank: Any, out: Any) -> None:
        step = pallas.program_id(1)
        taken = ranks[...] < counts[step]
        out[...] = jnp.where(taken ^ (restore[step] == 0), image[...], blank[...])

    steps, lines = len(counts), image.size // LANES
    height = max(h for h in range(8, min(lines, LARGEST_BLOCK // LANES) + 1, 8) if lines % h == 0)
    block = pallas.BlockSpec((height, LANES), lambda i, step: (i, 0))  # stays while the steps go by
    scalars = pallas.BlockSpec(memory_space=tpu.SMEM)
    found: Array = pallas.pallas_call(
        body,
        grid=(lines // height, steps),
        in_specs=[scalars, scalars, block, block, block],
        out_specs=pallas.BlockSpec((None, height, LANES), lambda i, step: (step, i, 0)),
        out_shape=jax.ShapeDtypeStruct((steps, lines, LANES), image.dtype),
        interpret=interpret,
    )(counts, restore, *(array.reshape(lines, LANES) for array in (ranks, image, blank)))
    return found.reshape(steps, -1)
