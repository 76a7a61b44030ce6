"""Noise around any method: SmoothGrad, SmoothGrad squared and VarGrad where the method is the gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxplain._errors import InputError
from jaxplain._typing import Count, Fraction, NonNegative
from jaxplain._wrapping import Explainer, wrapper
from jaxplain.core.noise import spread_in_range
from jaxplain.core.ops import noise_fold
from jaxplain.core.sampling import DEFAULT_CHUNK, sample_key
from jaxplain.core.statistics import Draws, Statistic


@wrapper(keeps=("linearity", "implementation_invariance", "dummy"))
def smooth(
    explain: Explainer,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    low: Float[Array, "*in"] | None = None,
    high: Float[Array, "*in"] | None = None,
    n_samples: Count = 50,
    sigma: NonNegative = 0.15,
    outside: Fraction = 1.0,
    antithetic: bool = False,
    statistic: Statistic = "mean",
    chunk: int | None = None,
) -> Draws:
    """Average the maps of noisy copies of the input, or take another statistic of them.

    ``map = 1/n sum_i explain(x + e_i)`` with ``e_ip ~ N(0, s_p^2)`` and ``s_p = sigma (max x - min x)``, or less where
    pixel p would leave [low, high] too often: ``s_p <= min(x_p - low, high - x_p) / q``, q being the quantile of the
    normal distribution at ``1 - outside / 2``. Half of ``outside`` lies beyond q on either side, so p leaves the range
    with a probability of at most ``outside``. With a large sigma that bound alone decides, as in AdaptGrad.

    Around ``gradient`` it is SmoothGrad, with the noise of ``smoothgrad`` for the same key. A baseline and whatever
    else belongs to the example is that of the clean example for all copies.

    Args:
        explain: The method.
        x: The example.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``, the method's own samples another stream.
        low: Lowest valid value of each pixel; x.min() by default.
        high: Highest valid value of each pixel; x.max() by default.
        n_samples: Number of noisy copies, at least 1.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min().
        outside: Largest probability with which a pixel of a copy may leave [low, high]; 1 leaves sigma as it is, 0
            leaves no noise.
        antithetic: Whether every noise is used twice, added and subtracted, which cancels what is odd in the noise: an
            even number of samples, of which 2 i and 2 i + 1 are the pair of noise i.
        statistic: "mean", "square" (as SmoothGrad squared), "variance" (as VarGrad) or "std".
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Unscaled, in units of the method's maps, or in their square; signed where it is a mean.

    Raises:
        InputError: An odd number of antithetic samples.

    References:
        Smilkov, Thorat, Kim, Viégas and Wattenberg 2017, SmoothGrad, arXiv:1706.03825. Hooker, Erhan, Kindermans and
        Kim 2019, arXiv:1806.10758 (square). Adebayo, Gilmer, Goodfellow and Kim 2018, arXiv:1810.03307 (variance).
        Zhou, Ma, Wang, Wu and Shi 2024, AdaptGrad, arXiv:2410.07711.
    """
    spread = spread_in_range(x, sigma, outside=outside, low=low, high=high)
    if not antithetic:
        one = lambda i: explain(noise_fold(x, sample_key(key, i), spread), i)[None]  # noqa: E731
        return Draws(explain.f, x, one, n_samples, statistic, chunk)
    if n_samples % 2:
        raise InputError(
            f"smooth({explain.method.name}): antithetic samples come in pairs, got n_samples = {n_samples}; pass an "
            "even number."
        )

    def pair(i: Array) -> Array:
        noise = noise_fold(jnp.zeros_like(x), sample_key(key, i), spread)
        return jax.vmap(explain)(jnp.stack([x + noise, x - noise]), 2 * i + jnp.arange(2, dtype=i.dtype))

    return Draws(explain.f, x, pair, n_samples // 2, statistic, max(1, (chunk or DEFAULT_CHUNK) // 2))
