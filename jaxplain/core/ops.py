"""The doorway to the kernels: what the library uses of ``jaxplain_kernels``."""

from collections.abc import Sequence

from jaxplain_kernels import choices as kernel_choices
from jaxplain_kernels.convolution import Spec as ConvolutionSpec
from jaxplain_kernels.convolution import convolve as convolve
from jaxplain_kernels.convolution import fuses as fuses
from jaxplain_kernels.mask_blend import cell_sizes as cell_sizes
from jaxplain_kernels.mask_blend import collect as sum_masks
from jaxplain_kernels.mask_blend import mask_blend as mask_blend
from jaxplain_kernels.mask_blend import spread as spread_masks
from jaxplain_kernels.mask_blend import upsample as stretch_masks
from jaxplain_kernels.moments import add_up as add_up
from jaxplain_kernels.moments import highest as highest
from jaxplain_kernels.moments import merge as merge_moments
from jaxplain_kernels.noise_fold import noise_fold as noise_fold
from jaxplain_kernels.optional import native
from jaxplain_kernels.pool import max_pool as max_pool
from jaxplain_kernels.pool.api import Spec as PoolSpec
from jaxplain_kernels.pool.api import refusal
from jaxplain_kernels.rank import rank as rank
from jaxplain_kernels.rank_erase import rank_erase as rank_erase


def max_pool_refusal(
    shape: Sequence[int], *, window: Sequence[int], strides: Sequence[int], padding: Sequence[tuple[int, int]]
) -> str:
    """Return why ``max_pool`` cannot serve, or ``""``."""
    return refusal(PoolSpec(tuple(shape), tuple(window), tuple(strides), tuple(padding)))


def native_library() -> str:
    """Return the name and version of the library that computes natively on CPUs, or ``""`` where there is none."""
    module, _ = native()
    return "" if module is None else f"oneDNN {module.onednn_version()}"


__all__ = [
    "ConvolutionSpec",
    "add_up",
    "cell_sizes",
    "convolve",
    "fuses",
    "highest",
    "kernel_choices",
    "mask_blend",
    "max_pool",
    "max_pool_refusal",
    "merge_moments",
    "native_library",
    "noise_fold",
    "rank",
    "rank_erase",
    "spread_masks",
    "stretch_masks",
    "sum_masks",
]
