"""The form that oneDNN computes, where the optional distribution jaxplain-native (kernels/native) is installed."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain_kernels import optional
from jaxplain_kernels.convolution.xla import pull_back_coarse

Array = jax.Array


def refusal(x: Any, kernel: Any, spec: Any) -> str:
    """Return why oneDNN cannot serve a convolution of these shapes and dtypes, or ``""``."""
    module, reason = optional.native()
    return reason if module is None else str(module.refusal(x, kernel, spec))


def convolve(x: Array, kernel: Array, spec: Any, *, coarse: bool = False, **after: Any) -> Array:
    """Convolve by oneDNN.

    Args:
        x: The input.
        kernel: The weights.
        spec: The settings.
        coarse: Whether the cotangent is brought to the input on its own grid, by oneDNN too.
        after: What follows in the same call: ``scale``, ``bias``, ``addend`` and ``relu``.
    """
    pull = _pull_back_coarse if coarse else None
    found: Array = optional.native()[0].convolve(x, kernel, spec, pull=pull, **after)
    return found


def _pull_back_coarse(
    cotangent: Array,
    kernel: Array,
    shape: tuple[int, ...],
    spec: Any,
    *,
    scale: Array | None = None,
    mask: Array | None = None,
) -> Array:
    def by_onednn(lhs: Array, rhs: Array, *, dimension_numbers: Any, padding: Any, **settings: Any) -> Array:
        numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        pads = tuple((int(low), int(high)) for low, high in padding)
        own = spec._replace(**settings, padding=pads, dimension_numbers=numbers)
        if refusal(lhs, rhs, own):
            return lax.conv_general_dilated(lhs, rhs, **own._asdict())
        return convolve(lhs, rhs, own)

    if mask is not None:
        cotangent = jnp.where(mask > 0, cotangent, jnp.zeros_like(cotangent))
    if scale is not None:
        kernel = kernel * jnp.broadcast_to(scale, kernel.shape)
    return pull_back_coarse(cotangent, kernel, shape, spec, by_onednn)
