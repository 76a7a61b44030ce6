"""Guided backpropagation."""

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import input_gradient
from jaxplain.graph.composites.relu import GUIDED
from jaxplain.graph.rewrite import rewrite


@method(plain_gradient=True, needs_relu=True, rules=lambda f, x: GUIDED)
def guided_backprop(f: ScoreFn, x: Float[Array, "*in"]) -> Float[Array, "*out"]:
    """Pull the score back, letting only positive values through each open ReLU.

    At every ``y = relu(x)`` the cotangent ``g`` becomes ``relu(g) * relu'(x)``; all else keeps its derivative.
    ReLUs are found however they are written (``jax.nn.relu``, ``jnp.maximum(x, 0)``, ``jnp.where``), ReLU6 among them.
    The map shows edges of the input more than what the score depends on; compare it with one of random weights.

    Args:
        f: Score of one example.
        x: The example.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``.

    Raises:
        InputError: The network has no ReLU.

    References:
        Springenberg, Dosovitskiy, Brox and Riedmiller 2014, Striving for simplicity: the all convolutional net,
        arXiv:1412.6806. Adebayo et al. 2018, Sanity checks for saliency maps, arXiv:1810.03292.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> guided_backprop(lambda x: jnp.dot(jax.nn.relu(x), jnp.array([2.0, -3.0])), jnp.ones(2))
        Array([2., 0.], dtype=float32)
    """
    return input_gradient(rewrite(f, GUIDED))(x)
