"""SmoothGrad: the mean gradient over noisy copies."""

from jaxtyping import Array, Float, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, NonNegative, ScoreFn
from jaxplain.core.estimate import Estimate, in_rounds, of_mean
from jaxplain.core.noise import noisy_copies, noisy_gradient
from jaxplain.core.sampling import reduce_over, total
from jaxplain.graph.prefix import Implementation, prefix_for_sums


@method(axioms=("linearity", "implementation_invariance"), plain_gradient=True)
def smoothgrad(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    n_samples: Count = 50,
    sigma: NonNegative = 0.15,
    chunk: int | None = None,
    implementation: Implementation | None = None,
) -> Float[Array, "*out"]:
    """Average the gradient over noisy copies of the input.

    ``map = 1/n sum_i df/dx(x + e_i)`` with ``e_i ~ N(0, (sigma (max x - min x))^2)``; every sample is noisy,
    none is the clean input.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``.
        n_samples: Number of noisy copies, at least 1.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min(); 0 gives the plain gradient.
        chunk: Samples evaluated together; changes memory and speed only.
        implementation: "shared" pulls the mean back once through what is affine in the example; "plain" pulls every
            sample back. None chooses the faster by shape.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score per unit of the input.

    References:
        Smilkov, Thorat, Kim, Viégas and Wattenberg 2017, SmoothGrad, arXiv:1706.03825.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> smoothgrad(lambda x: 3 * x.sum(), jnp.arange(2.0), key=jax.random.key(0), n_samples=4)
        Array([3., 3.], dtype=float32)
    """
    parts, copy = prefix_for_sums(f, x, implementation), noisy_copies(x, key, sigma)
    summed = reduce_over(lambda sample: parts.gradient(parts.prefix(copy(sample))), n_samples, total, chunk=chunk)
    return parts.pull(x, tuple(cotangent / n_samples for cotangent in summed))


@with_diagnostics(smoothgrad)
def smoothgrad_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    n_samples: int,
    sigma: Array,
    chunk: int | None,
    implementation: Implementation | None,
) -> Diagnosed:
    """Return the map and the relative standard error of its estimate.

    The error needs the map of every sample, so nothing can be shared.

    Args:
        f: Score of one example.
        x: The example.
        key, n_samples, sigma, chunk, implementation: As in ``smoothgrad``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; NaN for one sample.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> _, figures = smoothgrad_with_diagnostics(lambda x: x.sum(), jnp.arange(2.0), key=jax.random.key(0))
        >>> float(figures["stderr"])
        0.0
    """
    return smoothgrad_in_rounds(f, x, key=key, sigma=sigma).once(n_samples, chunk)


@in_rounds(smoothgrad, count="n_samples")
def smoothgrad_in_rounds(f: ScoreFn, x: Float[Array, "*in"], *, key: Array, sigma: Array) -> Estimate:
    """Return the estimate, which can go on."""
    return of_mean(noisy_gradient(f, x, key, sigma), x)
