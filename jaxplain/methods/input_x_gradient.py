"""Input times gradient."""

from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import input_gradient, scale_maps


@method(axioms=("linearity", "implementation_invariance", "dummy"), plain_gradient=True)
def input_x_gradient(f: ScoreFn, x: Float[Array, "*in"]) -> Float[Array, "*out"]:
    """Multiply the gradient by the input.

    ``map = x * df/dx``; for a function linear in x it sums to f(x) - f(0).

    Args:
        f: Score of one example.
        x: The example, in the units that the network sees: zero means "absent".

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    References:
        Shrikumar, Greenside, Shcherbina and Kundaje 2016, Not just a black box, arXiv:1605.01713.

    Example:
        >>> import jax.numpy as jnp
        >>> input_x_gradient(lambda x: jnp.sum(x**2), jnp.array([1.0, 2.0]))
        Array([2., 8.], dtype=float32)
    """
    return scale_maps(input_gradient(f)(x), x)
