"""Baselines that depend on what is hidden: fills.

A fill is made from one example and then called with each mask: it returns what hidden pixels look like beside those
that are kept. A baseline whose attribute ``by_mask`` is true makes a fill instead of an array; methods that hide parts
of the example take both, through ``fill_of``.
"""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree
from jaxplain._typing import Array
from jaxplain.core.baselines import like_example
from jaxplain.core.maps import divide
from jaxplain.core.sampling import wide

Fill = Callable[[Array], Array]
"""From what is kept, booleans that broadcast against the example, to an array of the example's shape."""


def fill_of(baseline: Array | Fill, x: Array) -> Fill:
    """Return a fill for whatever stands as the baseline of one example; an array is the same under every mask.

    Args:
        baseline: An array that broadcasts against the example, or a fill.
        x: The example.

    Example:
        >>> fill_of(0.5, jnp.ones(2))(jnp.array([True, False]))
        Array([0.5, 0.5], dtype=float32)
    """
    if callable(baseline):
        return baseline
    fixed = like_example(baseline, x)
    return lambda kept: fixed


@pytree
class NoisyLinear:
    """Noisy linear imputation (ROAD's): a hidden pixel is the weighted mean of its neighbors, plus a little noise.

    Neighbors that touch by an edge weigh twice as much as those by a corner, channels do not mix, and all hidden pixels
    are solved for at once. Unlike a constant, the result shows hardly any trace of the mask's outline. The noise is the
    same under all masks. Where nothing is kept, the image's channel means are taken.

    Args:
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min().

    References:
        Rong, Leemann, Borisov, Kasneci and Kasneci 2022, A consistent and efficient evaluation strategy for attribution
        methods, arXiv:2202.00449.

    Example:
        >>> ramp = jnp.arange(5.0).reshape(5, 1)
        >>> fill = NoisyLinear(0.0)(ramp, jax.random.key(0))
        >>> fill(jnp.array([[True], [True], [False], [False], [True]])).ravel().round()
        Array([0., 1., 2., 3., 4.], dtype=float32)
    """

    sigma: Array | float = 0.01
    by_mask: ClassVar[bool] = True

    def __call__(self, x: Array, key: Array | None) -> "LinearFill":
        """Return the fill of one example."""
        if x.ndim < 2:
            raise InputError(
                f"NoisyLinear: the shape {x.shape} has channels alone and no neighbors; add an axis to it."
            )
        if key is None:
            raise InputTypeError("NoisyLinear: the baseline is random and needs a key; pass key=jax.random.key(0).")
        spread = jnp.asarray(self.sigma, x.dtype) * (jnp.max(x) - jnp.min(x))
        return LinearFill(x, spread * jax.random.normal(key, x.shape, x.dtype))


@pytree
class LinearFill:
    """One example's noisy linear imputation.

    Args:
        x: The example.
        noise: What is added to hidden pixels, of the example's shape.
    """

    x: Array
    noise: Array
    by_mask: ClassVar[bool] = True

    def __call__(self, kept: Array) -> Array:
        """Return the example with its hidden pixels imputed.

        Conjugate gradients solve ``sum_j w_ij (v_i - v_j) = 0`` for all hidden i, j running over the neighbors within
        the image; they stop at a residual of eps^(3/4) of the example.
        """
        x, shown = wide(self.x), jnp.broadcast_to(kept, self.x.shape)
        unknown = (~shown).astype(x.dtype)
        degree = _over_neighbors(jnp.ones_like(x))

        def laplacian(values: Array) -> Array:
            # The identity on what is kept makes it definite, for the solves of derivatives too.
            own = unknown * values
            return unknown * (degree * values - _over_neighbors(own)) + (1 - unknown) * values

        n_shown = jnp.sum(1 - unknown, axis=_space(x), keepdims=True)
        seen_mean = divide(jnp.sum(x * (1 - unknown), axis=_space(x), keepdims=True), n_shown)
        start = unknown * jnp.where(n_shown == 0, jnp.mean(x, axis=_space(x), keepdims=True), seen_mean)
        accuracy = float(jnp.finfo(x.dtype).eps) ** 0.75
        solved, _ = cg(
            laplacian,
            unknown * _over_neighbors(x * (1 - unknown)),
            x0=start,
            tol=accuracy,
            atol=accuracy * jnp.sqrt(jnp.sum(jnp.square(x))),  # with nothing kept, the right side is zero
            maxiter=10 * sum(x.shape[:-1]),
        )
        return jnp.where(shown, x, solved + self.noise.astype(x.dtype)).astype(self.x.dtype)


def _space(x: Array) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))


def _over_neighbors(values: Array) -> Array:
    """Sum over neighbors, by 1/2 for each axis along which they differ: ROAD's weights but for a common factor."""
    summed = values
    for axis in _space(values):
        size = values.shape[axis]
        padded = jnp.pad(summed, [(1, 1) if axis == other else (0, 0) for other in range(values.ndim)])
        before, after = (jax.lax.slice_in_dim(padded, first, first + size, axis=axis) for first in (0, 2))
        summed = summed + (before + after) / 2
    return summed - values
