"""Erase or restore the first pixels of an order, for many numbers of pixels at once.

With ranks from 0, the most important pixel::

    erase_k(x)   = where(ranks < k, blank, x)
    restore_k(x) = where(ranks < k, x, blank)

The values are selected, never computed, so every form returns the same bits.
"""

from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxplain_kernels.choice import Form, Op
from jaxplain_kernels.mosaic import no_mosaic
from jaxplain_kernels.rank_erase.pallas import BLOCK, by_kernel
from jaxplain_kernels.rank_erase.xla import by_selection

Array = jax.Array


class Spec(NamedTuple):
    """What is static."""

    steps: int
    size: int
    dtype: jnp.dtype


def rank_erase(
    image: Array,
    blank: Array,
    ranks: Array,
    counts: Array,
    *,
    restore: Array | bool = False,
    implementation: str = "auto",
) -> Array:
    """Return an image with the first pixels of an order erased, or the others, for every count.

    Args:
        image: ``(*space, *channels)``.
        blank: What an erased pixel shows; of the image's shape, or one that broadcasts to it.
        ranks: ``(*space)`` int32, 0 first.
        counts: ``(steps,)`` int32, how many pixels are taken.
        restore: Whether the pixels taken are shown and all others erased, for all steps or ``(steps,)``.
        implementation: "auto", or a form: "xla", "pallas" (needs a GPU or TPU, and a multiple of 1024 values).

    Returns:
        ``(steps, *space, *channels)``.

    Raises:
        NotImplementedError: The form asked for by name cannot serve, with the reason.

    Example:
        >>> import jax.numpy as jnp
        >>> image, ranks = jnp.array([5.0, 6.0, 7.0]), jnp.array([2, 0, 1])
        >>> rank_erase(image, jnp.zeros(3), ranks, jnp.array([1, 2])).tolist()
        [[5.0, 0.0, 7.0], [5.0, 0.0, 0.0]]
    """
    if ranks.shape != image.shape[: ranks.ndim]:
        raise ValueError(f"rank_erase: ranks {ranks.shape} are not of the first axes of the image, {image.shape}.")
    spec = Spec(len(counts), image.size, image.dtype)
    both = jnp.broadcast_to(blank, image.shape), ranks, counts, jnp.broadcast_to(restore, counts.shape)
    found: Array = OP.run(spec, image, *both, implementation=implementation)
    return found


def _no_kernel(spec: Spec, platform: str) -> str:
    reasons = [no_mosaic(platform)]
    if spec.size % BLOCK:
        reasons.append(f"{spec.size} values are no multiple of {BLOCK}")
    if spec.dtype not in (jnp.float32, jnp.bfloat16, jnp.float16):
        reasons.append(f"values of {spec.dtype} are not supported")
    return "; ".join(filter(None, reasons))


def _typical() -> dict[str, Spec]:
    from jaxplain_kernels.rank_erase.cases import LARGE

    return {name: Spec(case.steps, prod(case.shape), jnp.dtype(case.dtype)) for name, case in LARGE.items()}


OP = Op(
    "rank_erase",
    (
        Form("xla", lambda spec, *arrays: by_selection(*arrays)),
        Form("pallas", lambda spec, *arrays: by_kernel(*arrays), _no_kernel),
    ),
    typical=_typical,  # no row yet: the kernel waits for a figure from a device that it runs on
)
