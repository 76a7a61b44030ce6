"""The deconvnet."""

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import input_gradient
from jaxplain.graph.composites.relu import DECONVNET
from jaxplain.graph.rewrite import rewrite


@method(plain_gradient=True, needs_relu=True, rules=lambda f, x: DECONVNET)
def deconvnet(f: ScoreFn, x: Float[Array, "*in"]) -> Float[Array, "*out"]:
    """Pull the score back, applying ReLU to what passes a ReLU, open or closed.

    At every ``y = relu(x)`` the cotangent ``g`` becomes ``relu(g)``; all else keeps its derivative, so max-pooling
    sends values to the winner. ReLUs are found however they are written, ReLU6 among them. Without max-pooling the map
    depends on the example only where other operations do.

    Args:
        f: Score of one example.
        x: The example.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``.

    Raises:
        InputError: The network has no ReLU.

    References:
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> deconvnet(lambda x: jnp.dot(jax.nn.relu(x), jnp.array([2.0, -3.0])), -jnp.ones(2))
        Array([2., 0.], dtype=float32)
    """
    return input_gradient(rewrite(f, DECONVNET))(x)
