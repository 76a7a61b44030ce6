"""The plain gradient."""

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import input_gradient


@method(axioms=("linearity", "implementation_invariance", "sensitivity", "symmetry"), plain_gradient=True)
def gradient(f: ScoreFn, x: Float[Array, "*in"]) -> Float[Array, "*out"]:
    """Differentiate the score with respect to the input.

    ``map = df/dx``

    Args:
        f: Score of one example.
        x: The example.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score per unit of the input.

    References:
        Simonyan, Vedaldi and Zisserman 2014, Deep inside convolutional networks, arXiv:1312.6034.

    Example:
        >>> import jax.numpy as jnp
        >>> gradient(lambda x: jnp.sum(x**2), jnp.array([1.0, 2.0]))
        Array([2., 4.], dtype=float32)
    """
    return input_gradient(f)(x)
