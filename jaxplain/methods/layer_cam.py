"""Layer-CAM: a layer's activations times their positive gradients."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, gradient_cam


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def layer_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    relu: bool = True,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Multiply a layer's activations by their positive gradients and sum over channels.

    ``map = relu(sum_k relu(g_k) A_k)`` with ``g_k = df/dA_k``. The paper scales the maps of early layers before it
    joins them by their maximum; several layers are averaged here, unscaled.

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
        Jiang, Zhang, Hou, Cheng and Wei 2021, LayerCAM: exploring hierarchical class activation maps for localization,
        doi:10.1109/TIP.2021.3089943.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> layer_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        return jnp.sum(jax.nn.relu(gradient) * activation, axis=-1)

    return gradient_cam("layer_cam", f, x, layer, combine, relu=relu, upsample=upsample)
