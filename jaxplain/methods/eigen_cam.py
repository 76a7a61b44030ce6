"""Eigen-CAM: the first principal component of a layer's activations."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.principal import principal_map
from jaxplain.core.sampling import wide
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, finished, layer_activations


@method(plain_gradient=True, coarse=UPSAMPLINGS)
def eigen_cam(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | tuple[str, ...],
    center: bool = False,
    relu: bool = False,
    upsample: Upsample = "bilinear",
) -> Float[Array, "*cam"]:
    """Project a layer's activations onto their first principal component; no score takes part.

    ``map = A v`` with the leading right singular vector ``v`` of the activations as a matrix of positions by channels.
    The sign of ``v``, which the decomposition leaves open, is that of its sum over channels, so the map agrees with
    the sum of the activations. All scores have the same map.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        layer: Name of a layer whose activations are ``(*space, channels)``, or several, whose maps are averaged.
        center: Whether to subtract the mean of each channel first; the definition does not, pytorch-grad-cam does.
        relu: Whether to keep the positive part only; the definition has none.
        upsample: "bilinear", "nearest" or None, as in ``grad_cam``.

    Returns:
        Unscaled, without channels: ``(*t, *space)``, in units of the activations.

    Raises:
        InputError: The layer does not exist, or has no space to be brought to the example's.

    References:
        Muhammad and Yeasin 2020, Eigen-CAM: class activation map using principal components, arXiv:2008.00299.

    Example:
        >>> import jax.numpy as jnp
        >>> from jax.ad_checkpoint import checkpoint_name
        >>> f = lambda x: jnp.sum(checkpoint_name(2.0 * x, "features"))
        >>> eigen_cam(f, jnp.array([[[1.0], [3.0]]]), layer="features")
        Array([[2., 6.]], dtype=float32)
    """
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    score, activations = layer_activations("eigen_cam", f, x, names)
    own = [principal_map(wide(activation), center=center) for activation in activations]
    maps = [jnp.broadcast_to(cam.reshape((1,) * score.ndim + cam.shape), score.shape + cam.shape) for cam in own]
    return finished("eigen_cam", x, names, score, maps, relu=relu, upsample=upsample)
