"""Eigen-Grad-CAM: the first principal component of gradient times activation."""

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.principal import principal_map
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, gradient_cam


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def eigen_grad_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    center: bool = False,
    relu: bool = True,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Project gradient times activation of a layer onto its first principal component.

    ``map = relu(M v)`` with ``M = g A``, a matrix of positions by channels, ``g = df/dA``, and its leading right
    singular vector ``v``. The sign of ``v``, which the decomposition leaves open, is that of its sum over channels, so
    the map agrees with HiRes-CAM's.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``, or several, whose maps are averaged.
        center: Whether to subtract the mean of each channel first; pytorch-grad-cam does, Eigen-CAM's paper does not.
        relu: Whether to keep the positive part only.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the score.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Muhammad and Yeasin 2020, Eigen-CAM, arXiv:2008.00299. With gradients it comes from the library
        pytorch-grad-cam, https://github.com/jacobgil/pytorch-grad-cam.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> eigen_grad_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """

    def combine(gradient: Array, activation: Array) -> Array:
        return principal_map(gradient * activation, center=center)

    return gradient_cam("eigen_grad_cam", f, x, layer, combine, relu=relu, upsample=upsample)
