"""HiRes-CAM: gradient times activation, summed over a layer's channels."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, gradient_cam


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def hires_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    relu: bool = False,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Multiply a layer's activations by their gradients and sum over channels.

    ``map = sum_k g_k A_k`` with ``g_k = df/dA_k``. If a single affine layer follows, the map at the layer's resolution
    sums to the score without its bias.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``, or several, whose maps are averaged.
        relu: Whether to keep the positive part only; the definition has none.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, signed, in units of the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
        networks, arXiv:2011.08891.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> hires_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        return jnp.sum(gradient * activation, axis=-1)

    return gradient_cam("hires_cam", f, x, layer, combine, relu=relu, upsample=upsample)
