"""Expected gradients: integrated gradients averaged over a background set, by sampling."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxplain._errors import InputError
from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, NonNegative, ScoreFn
from jaxplain.core.backgrounds import check_background, mean_score
from jaxplain.core.estimate import Estimate, in_rounds, of_mean
from jaxplain.core.gradient import input_gradient, scale_maps
from jaxplain.core.noise import noisy_copies
from jaxplain.core.paths import between, completeness_gap
from jaxplain.core.sampling import DEFAULT_CHUNK, Moments, mean, reduce_over, sample_key
from jaxplain.core.strata import latin_pairs


@method(axioms=("linearity", "implementation_invariance", "dummy"), plain_gradient=True)
def expected_gradients(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    background: Float[Array, "n *in"],
    n_samples: Count = 200,
    strata: Count = 1,
    sigma: NonNegative = 0.0,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Average the gradient, times the displacement, at random points of paths from random baselines of a background.

    ``map = 1/n sum_i (x - b_i) df/dx(b_i + t_i (x - b_i))`` with b_i drawn from the background and t_i from [0, 1). Its
    expectation sums to f(x) less the mean score of the background.

    With ``sigma`` every sample starts from a noisy copy of x, in both places: Captum's GradientShap and shap's
    GradientExplainer with local smoothing. Its expectation is the map averaged over noise.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; group i of ``strata`` samples uses ``fold_in(key, i)``.
        background: Examples to start from, ``(n, *in)``, n at least 1; the same for all images.
        n_samples: Number of gradients.
        strata: Samples that are spread together: one t in each of so many parts of [0, 1], one baseline in each of so
            many parts of the background. 1 draws all independently, as published. A divisor of ``n_samples``. As many
            as the background has examples use each of them equally often; more gain nothing further. On the networks of
            ``jaxplain.testing`` that left a quarter (smooth) and a half (ReLU) of the squared error.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min(); 0 adds none.
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: The background is no set of such examples, or ``strata`` does not divide ``n_samples``.

    References:
        Erion, Janizek, Sturmfels, Lundberg and Lee 2021, Improving performance of deep learning models with axiomatic
        attribution priors and expected gradients, doi:10.1038/s42256-021-00343-w. Lundberg and Lee 2017, A unified
        approach to interpreting model predictions, arXiv:1705.07874.

    Example:
        >>> background = jnp.array([[0.0, 0.0], [1.0, 1.0]])
        >>> key, sums = jax.random.key(0), lambda x: 2.0 * jnp.sum(x)
        >>> expected_gradients(sums, jnp.array([3.0, 1.0]), key=key, background=background, n_samples=4, strata=2)
        Array([5., 1.], dtype=float32)
    """
    group = _groups(f, x, key, background, n_samples, strata, sigma, chunk)
    together = _groups_together(strata, chunk)
    return reduce_over(group, n_samples // strata, mean, chunk=together).astype(x.dtype)


def _groups(
    f: ScoreFn,
    x: Array,
    key: Array,
    background: Array,
    n_samples: int,
    strata: int,
    sigma: Array | float,
    chunk: int | None,
) -> Callable[[Array], Array]:
    """Return the mean of each group of samples. Groups are independent of each other, samples of a group are not."""
    check_background("expected_gradients", background, x.shape)
    if n_samples % strata:
        raise InputError(
            f"expected_gradients: strata = {strata} does not divide n_samples = {n_samples}; "
            f"pass n_samples = {-(-n_samples // strata) * strata}, say."
        )
    pull, n_rows = input_gradient(f), len(background)

    def group(number: Array) -> Array:
        place_key, noise_key = jax.random.split(sample_key(key, number))
        times, places = latin_pairs(place_key, strata)
        rows = jnp.minimum((places * n_rows).astype(jnp.int32), n_rows - 1)
        copy = noisy_copies(x, noise_key, sigma)

        def sample(member: Array) -> Array:
            start, end = background[rows[member]].astype(x.dtype), copy(member)
            return scale_maps(pull(between(start, end, times[member])), end - start)

        return reduce_over(sample, strata, mean, chunk=chunk)

    return group


def _groups_together(strata: int, chunk: int | None) -> int:
    return max(1, (chunk or DEFAULT_CHUNK) // strata)


@with_diagnostics(expected_gradients)
def expected_gradients_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    background: Array,
    n_samples: int,
    strata: int,
    sigma: Array,
    chunk: int | None,
) -> Diagnosed:
    """Return the map, the relative standard error of its estimate and its completeness gap.

    The standard error comes from the means of groups of ``strata`` samples, which are independent. The gap,
    ``sum(map) - (f(x) - mean f(b))``, takes a forward pass for each example of the background; it has the error of the
    sampling, and with noise also the change of the score that the noise makes.

    Args:
        f: Score of one example.
        x: The example.
        key, background, n_samples, strata, sigma, chunk: As in ``expected_gradients``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t), "gap": (*t)}``: norm of the standard error over norm of the map, NaN for a
        single group; and the gap in units of the score, signed.

    Example:
        >>> one, knobs = jnp.ones(1), {"key": jax.random.key(0), "n_samples": 4}
        >>> _, figures = expected_gradients_with_diagnostics(lambda x: x[0], one, background=jnp.zeros((1, 1)), **knobs)
        >>> float(figures["stderr"]), float(figures["gap"])
        (0.0, 0.0)
    """
    estimate = expected_gradients_in_rounds(
        f, x, key=key, background=background, n_samples=n_samples, strata=strata, sigma=sigma, chunk=chunk
    )
    return estimate.once(n_samples // strata, _groups_together(strata, chunk))


@in_rounds(expected_gradients, count="n_samples", size=lambda words: int(words["strata"]))
def expected_gradients_in_rounds(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    background: Array,
    n_samples: int,
    strata: int,
    sigma: Array,
    chunk: int | None,
) -> Estimate:
    """Return the estimate, which can go on."""
    means = of_mean(_groups(f, x, key, background, n_samples, strata, sigma, chunk), x)

    def finish(found: Moments, n: Array | int) -> Diagnosed:
        attribution, figures = means.finish(found, n)
        score, before = f(x), mean_score(f, background.astype(x.dtype), chunk=chunk)
        return attribution, {**figures, "gap": completeness_gap(attribution, score - before.astype(score.dtype))}

    return means._replace(finish=finish)
