"""Score-CAM: channels weighted by the score of the example masked with them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.collecting import collected
from jaxplain.core.maps import divide
from jaxplain.core.sampling import wide
from jaxplain.graph.cam import Upsample, finished, layer_activations, resized, weighted_sum


# The masks are upsampled by the same knob, and by "bilinear" for None.
@method(plain_gradient=True, coarse=("bilinear",))
def score_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str,
    relu: bool = True,
    upsample: Upsample = "bilinear",
    chunk: int | None = None,
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by how high the score is when they mask the example; no gradient takes part.

    ``map = relu(sum_k a_k A_k)`` with ``a = softmax over k of f(x H_k)``, where the mask ``H_k`` is ``A_k`` brought to
    the example's space and scaled to 0 ... 1 by its minimum and maximum; a channel that is constant masks everything.
    The softmax makes the map depend on the scale of the score. It takes one evaluation per channel.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``, for masks and map; None masks bilinearly.
        chunk: Channels evaluated together; changes memory and speed only.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the activations.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Wang, Wang, Du, Yang, Zhang, Ding, Mardziel and Hu 2020, Score-CAM, arXiv:1910.01279.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> score_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """
    score, (activation,) = layer_activations("score_cam", f, x, (layer,))

    def masked(number: Array) -> Array:
        channel = wide(jnp.take(activation, number, axis=-1))
        mask = resized("score_cam", layer, channel, 0, x.shape[:-1], upsample or "bilinear")
        low = jnp.min(mask, keepdims=True)
        mask = divide(mask - low, jnp.broadcast_to(jnp.max(mask, keepdims=True) - low, mask.shape))
        return f(x * mask.astype(x.dtype)[..., None])

    scores = collected(masked, activation.shape[-1], chunk)
    cam = weighted_sum(jax.nn.softmax(scores, axis=-1), activation)
    return finished("score_cam", x, (layer,), score, [cam], relu=relu, upsample=upsample)
