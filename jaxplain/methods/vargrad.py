"""VarGrad: the variance of the gradient over noisy copies."""

from jaxtyping import Array, Float, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, NonNegative, ScoreFn
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.noise import noisy_gradient
from jaxplain.core.statistics import Draws


@method(axioms=("implementation_invariance",), plain_gradient=True)
def vargrad(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    n_samples: Count = 50,
    sigma: NonNegative = 0.15,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Take the variance of the gradient over noisy copies of the input.

    ``map = 1/n sum_i (g_i - mean g)^2``, the population form (divided by n), with
    ``g_i = df/dx(x + e_i)`` and noise as in SmoothGrad.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``.
        n_samples: Number of noisy copies, at least 1; one gives zero.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min().
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Non-negative and unscaled, shape ``(*t, *in)``, in squared units of the gradient.

    References:
        Adebayo, Gilmer, Goodfellow and Kim 2018, Local explanation methods for deep neural networks lack sensitivity to
        parameter values, arXiv:1810.03307.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> vargrad(lambda x: 3 * x.sum(), jnp.arange(2.0), key=jax.random.key(0), n_samples=4)
        Array([0., 0.], dtype=float32)
    """
    return _draws(f, x, key, sigma, n_samples, chunk).reduced()


@with_diagnostics(vargrad)
def vargrad_with_diagnostics(
    f: ScoreFn, x: Float[Array, "*in"], *, key: Array, n_samples: int, sigma: Array, chunk: int | None
) -> Diagnosed:
    """Return the map and the relative standard error of its estimate.

    The variance's standard error is ``sqrt((m4 - m2^2) / n)`` with the central moments m2 and m4, summed as squares
    over the map. The powers are taken around the first sample, so that rounding does not swamp them.

    Args:
        f: Score of one example.
        x: The example.
        key, n_samples, sigma, chunk: As in ``vargrad``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; 0 for a map without
        variance, NaN for one sample.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> _, figures = vargrad_with_diagnostics(lambda x: x.sum(), jnp.arange(2.0), key=jax.random.key(0))
        >>> float(figures["stderr"])
        0.0
    """
    return vargrad_in_rounds(f, x, key=key, sigma=sigma).once(n_samples, chunk)


@in_rounds(vargrad, count="n_samples")
def vargrad_in_rounds(f: ScoreFn, x: Float[Array, "*in"], *, key: Array, sigma: Array) -> Estimate:
    """Return the estimate, which can go on."""
    return _draws(f, x, key, sigma).estimate()


def _draws(f: ScoreFn, x: Array, key: Array, sigma: Array | float, n: int = 1, chunk: int | None = None) -> Draws:
    sample = noisy_gradient(f, x, key, sigma)
    return Draws(f, x, lambda i: sample(i)[None], n, "variance", chunk)
