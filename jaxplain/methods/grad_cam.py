"""Grad-CAM: a layer's activations weighted by their mean gradients."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, gradient_cam, space_axes, weighted_sum


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def grad_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    relu: bool = True,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by the space mean of their gradients and sum them.

    ``map = relu(sum_k a_k A_k)`` with ``a_k = mean over space of df/dA_k``. On global average pooling
    and a dense layer it is CAM divided by the number of positions.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``; ``jaxplain.layers`` lists them. Several
            names take one backward pass, and their maps are averaged at the example's size, unscaled.
        relu: Whether to keep the positive part only, as published.
        upsample: How the map is brought to the example's space: "bilinear", "nearest" (each cell a block, as far as
            sizes allow), or None for the layer's own resolution.

    Returns:
        Unscaled, without channels: ``(*t, *space)`` of the example, or of the layer for ``upsample=None``; in units of
        the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra 2017, Grad-CAM, arXiv:1610.02391.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> grad_cam(f, jnp.ones((2, 2, 1)), layer="features")
        Array([[2., 2.],
               [2., 2.]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        return weighted_sum(jnp.mean(gradient, axis=space_axes(activation)), activation)

    return gradient_cam("grad_cam", f, x, layer, combine, relu=relu, upsample=upsample)
