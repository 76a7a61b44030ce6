"""Ablation-CAM: channels weighted by the drop of the score without them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.collecting import collected
from jaxplain.core.maps import divide
from jaxplain.core.sampling import wide
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, finished, layer_activations, weighted_sum
from jaxplain.graph.tap import tap


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def ablation_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str,
    relative: bool = True,
    relu: bool = True,
    upsample: Upsample = "bilinear",
    chunk: int | None = None,
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by how far the score drops when they are set to zero; no gradient takes part.

    ``map = relu(sum_k w_k A_k)`` with ``w_k = (f(x) - f_k) / f(x)``, where ``f_k`` is the score with channel k of the
    layer at zero. It takes one evaluation per channel.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``.
        relative: Whether the drop is divided by the score, as published. The division turns the sign of the map where
            the score is negative, and a score of zero gives zeros: take False for scores that may be so.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.
        chunk: Channels evaluated together; changes memory and speed only.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the activations, times those of the score unless it
        is relative.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Desai and Ramaswamy 2020, Ablation-CAM, doi:10.1109/WACV45572.2020.9093360.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> ablation_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """
    score, (activation,) = layer_activations("ablation_cam", f, x, (layer,))
    n_channels, tapped = activation.shape[-1], tap(f, layer)

    def ablated(number: Array) -> Array:
        off = (jnp.arange(n_channels, dtype=jnp.int32) == number).reshape((1,) * (activation.ndim - 1) + (-1,))
        return tapped(x, jnp.where(off, -activation, 0))[0]

    whole = wide(score)[..., None]
    weights = whole - collected(ablated, n_channels, chunk)
    if relative:
        weights = divide(weights, jnp.broadcast_to(whole, weights.shape))
    cam = weighted_sum(weights, activation)
    return finished("ablation_cam", x, (layer,), score, [cam], relu=relu, upsample=upsample)
