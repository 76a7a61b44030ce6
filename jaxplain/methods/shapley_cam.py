"""Shapley-CAM: channels weighted by gradients, corrected by half their change along the activations."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import pull_back
from jaxplain.core.sampling import wide
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, finished, layer_activations, space_axes, weighted_sum
from jaxplain.graph.tap import tap, zero_deltas


@method(coarse=UPSAMPLINGS)
def shapley_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str,
    relu: bool = True,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by the space mean of their gradients, less half of what curvature adds.

    ``map = relu(sum_k a_k A_k)`` with ``a_k = mean over space of (g - H A / 2)_k``, gradient ``g`` and Hessian ``H`` of
    the score at the layer: ``A (g - H A / 2)`` are the Shapley values of the second-order expansion at ``A`` of the
    score with neurons set to zero. Where the network behind the layer is piecewise linear, H is zero and the map is
    Grad-CAM's.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Cai 2025, CAMs as Shapley value-based explainers, arXiv:2501.06261.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> shapley_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """
    score, (activation,) = layer_activations("shapley_cam", f, x, (layer,))
    tapped = tap(f, layer)

    def gradient_at(delta: Array) -> Array:
        moved, pull = jax.vjp(lambda delta: tapped(x, delta)[0], delta)
        return pull_back(lambda cotangent: pull(cotangent)[0], moved)

    # Forward over reverse: one pass gives H A for all scores.
    gradient, change = jax.jvp(gradient_at, (zero_deltas(f, x, layer),), (activation,))
    space = tuple(axis + score.ndim for axis in space_axes(activation))
    weights = jnp.mean(wide(gradient) - wide(change) / 2, axis=space)
    cam = weighted_sum(weights, activation)
    return finished("shapley_cam", x, (layer,), score, [cam], relu=relu, upsample=upsample)
