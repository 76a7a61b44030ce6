"""XGrad-CAM: channels weighted by their gradients' mean, each position by its activation."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.maps import divide
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, gradient_cam, space_axes, weighted_sum


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def xgrad_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    relu: bool = True,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by their gradients, averaged with the activations as weights.

    ``map = relu(sum_k w_k A_k)`` with ``w_k = sum_p g_p A_p / sum_p A_p`` and ``g = df/dA_k``; zero where the
    activations of a channel sum to zero. Without the ReLU the map sums to ``sum g A``, as HiRes-CAM's does.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``, or several, whose maps are averaged.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Fu, Hu, Dong, Guo, Gao and Li 2020, Axiom-based Grad-CAM, arXiv:2008.02312.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> xgrad_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        space = space_axes(activation)
        weights = divide(jnp.sum(gradient * activation, axis=space), jnp.sum(activation, axis=space))
        return weighted_sum(weights, activation)

    return gradient_cam("xgrad_cam", f, x, layer, combine, relu=relu, upsample=upsample)
