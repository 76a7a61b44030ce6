"""Grad-CAM++: channels weighted by their positive gradients, each position by its share."""

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.sampling import magnitude
from jaxplain.graph.cam import UPSAMPLINGS, Denominator, Upsample, gradient_cam, plus_plus_weights, weighted_sum


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def grad_cam_pp(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    denominator: Denominator = "activation_sum",
    relu: bool = True,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Weight a layer's channels by their positive gradients, each position by its share.

    ``map = relu(sum_k w_k A_k)`` with ``w_k = sum_p alpha_p relu(g_p)`` and ``g = df/dA_k``. The shares are
    ``alpha_p = g_p^2 / (2 g_p^2 + (sum_q A_q) g_p^3)``, as the paper has them for ``exp(f)`` on a piecewise linear
    network, without the factor ``exp(f)``; zero where the denominator is zero.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``, or several, whose maps are averaged.
        denominator: "activation_sum" as above, the paper's; "product_sum" puts ``sum_q A_q g_q^3`` for the second term,
            as several libraries do.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Chattopadhay, Sarkar, Howlader and Balasubramanian 2018, Grad-CAM++, arXiv:1710.11063.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> grad_cam_pp(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[0.4, 1.2]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        unit = magnitude(gradient)
        slope = gradient / unit
        weights = plus_plus_weights((slope, slope**2, slope**3), activation, unit, denominator)
        return weighted_sum(weights, activation)

    return gradient_cam("grad_cam_pp", f, x, layer, combine, relu=relu, upsample=upsample)
