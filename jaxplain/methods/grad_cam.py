"""Grad-CAM: a layer's activations weighted by their mean gradients."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._errors import InputError
from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import pull_back
from jaxplain.core.sampling import wide
from jaxplain.graph.tap import tap, zero_deltas


@method()
def grad_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str,
    relu: bool = True,
    upsample: Literal["bilinear", "nearest"] | None = "bilinear",
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by the space mean of their gradients and sum them.

    ``map = relu(sum_k a_k A_k)`` with ``a_k = mean over space of df/dA_k``. On global average pooling
    and a dense layer it is CAM divided by the number of positions.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``; ``jaxplain.layers`` lists them.
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
    tapped = tap(f, layer)
    score, pull, activation = jax.vjp(lambda delta: tapped(x, delta), zero_deltas(f, x, layer), has_aux=True)
    if activation.ndim < 2:
        raise InputError(
            f"grad_cam: layer {layer!r} has the shape {activation.shape}, which is not (*space, channels); "
            "choose one before the pooling or flattening."
        )
    gradient = wide(pull_back(lambda cotangent: pull(cotangent)[0], score))
    space = tuple(range(score.ndim, gradient.ndim - 1))
    weights = jnp.mean(gradient, axis=space)
    cam = jnp.tensordot(weights, activation.astype(weights.dtype), axes=(-1, -1))
    cam = jax.nn.relu(cam) if relu else cam
    return _to_space(cam, score.ndim, x.shape[:-1], layer, upsample).astype(x.dtype)


def _to_space(cam: Array, targets: int, space: tuple[int, ...], layer: str, how: str | None) -> Array:
    if how is None:
        return cam
    if cam.ndim - targets != len(space):
        raise InputError(
            f"grad_cam: layer {layer!r} has the space {cam.shape[targets:]}, the example {space}; "
            "pass upsample=None to keep the layer's resolution."
        )
    return jax.image.resize(cam, (*cam.shape[:targets], *space), method=how, antialias=False)
