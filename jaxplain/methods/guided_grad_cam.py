"""Guided Grad-CAM: guided backpropagation times Grad-CAM."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import input_gradient
from jaxplain.graph.cam import gradient_cam, space_axes, weighted_sum
from jaxplain.graph.composites.relu import GUIDED
from jaxplain.graph.rewrite import rewrite


@method(needs_relu=True, rules=lambda f, x: GUIDED)
def guided_grad_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    relu: bool = True,
    upsample: Literal["bilinear", "nearest"] = "bilinear",
) -> Float[Array, "*out"]:
    """Multiply guided backpropagation by the layer's Grad-CAM, brought to the example's size.

    ``map = guided_backprop(f, x) * upsampled(grad_cam(f, x, layer))``, the second factor equal in all channels.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``, or several, whose Grad-CAMs are averaged.
        relu: Whether Grad-CAM keeps its positive part only, as published.
        upsample: How Grad-CAM is brought to the example's space: "bilinear" or "nearest", as in ``grad_cam``.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``.

    Raises:
        InputError: The network has no ReLU; the layer does not exist, or has no space to be brought to the example's.

    References:
        Selvaraju, Cogswell, Das, Vedantam, Parikh and Batra 2017, Grad-CAM, arXiv:1610.02391, section 3.2.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(jax.nn.relu(x), "features"))
        >>> guided_grad_cam(f, jnp.array([[[1.0], [-1.0]], [[2.0], [3.0]]]), layer="features")[..., 0]
        Array([[1., 0.],
               [2., 3.]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        return weighted_sum(jnp.mean(gradient, axis=space_axes(activation)), activation)

    guided = input_gradient(rewrite(f, GUIDED))(x)
    return guided * gradient_cam("guided_grad_cam", f, x, layer, combine, relu=relu, upsample=upsample)[..., None]
