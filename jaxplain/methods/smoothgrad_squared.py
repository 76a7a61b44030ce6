"""SmoothGrad squared: the mean squared gradient over noisy copies."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, NonNegative, ScoreFn
from jaxplain.core.estimate import Estimate, in_rounds, of_mean
from jaxplain.core.noise import noisy_gradient
from jaxplain.core.sampling import mean, reduce_over


@method(axioms=("implementation_invariance",), plain_gradient=True)
def smoothgrad_squared(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    n_samples: Count = 50,
    sigma: NonNegative = 0.15,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Average the squared gradient over noisy copies of the input.

    ``map = 1/n sum_i (df/dx(x + e_i))^2`` with noise as in SmoothGrad; it equals smoothgrad^2 + vargrad for equal keys.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``.
        n_samples: Number of noisy copies, at least 1.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min().
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Non-negative and unscaled, shape ``(*t, *in)``, in squared units of the gradient.

    References:
        Hooker, Erhan, Kindermans and Kim 2019, A benchmark for interpretability methods, arXiv:1806.10758.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> smoothgrad_squared(lambda x: 3 * x.sum(), jnp.arange(2.0), key=jax.random.key(0), n_samples=4)
        Array([9., 9.], dtype=float32)
    """
    sample = noisy_gradient(f, x, key, sigma)
    return reduce_over(lambda i: jnp.square(sample(i)), n_samples, mean, chunk=chunk).astype(x.dtype)


@with_diagnostics(smoothgrad_squared)
def smoothgrad_squared_with_diagnostics(
    f: ScoreFn, x: Float[Array, "*in"], *, key: Array, n_samples: int, sigma: Array, chunk: int | None
) -> Diagnosed:
    """Return the map and the relative standard error of its estimate.

    Args:
        f: Score of one example.
        x: The example.
        key, n_samples, sigma, chunk: As in ``smoothgrad_squared``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; NaN for one sample.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> _, figures = smoothgrad_squared_with_diagnostics(lambda x: x.sum(), jnp.arange(2.0), key=jax.random.key(0))
        >>> float(figures["stderr"])
        0.0
    """
    return smoothgrad_squared_in_rounds(f, x, key=key, sigma=sigma).once(n_samples, chunk)


@in_rounds(smoothgrad_squared, count="n_samples")
def smoothgrad_squared_in_rounds(f: ScoreFn, x: Float[Array, "*in"], *, key: Array, sigma: Array) -> Estimate:
    """Return the estimate, which can go on."""
    sample = noisy_gradient(f, x, key, sigma)
    return of_mean(lambda i: jnp.square(sample(i)), x)
