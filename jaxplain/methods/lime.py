"""LIME: a linear model of the score near the example, in terms of which segments are shown."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, NonNegative, Positive, ScoreFn
from jaxplain.core.coalitions import relative_error, square_weights, written
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.imputation import fill_of
from jaxplain.core.regression import Sums, jackknife, r_squared, ridge_fit, weighted_sums
from jaxplain.core.sampling import sample_key, wide
from jaxplain.core.segments import Segments, as_segments, present, spread

Distance = Literal["cosine", "hamming"]
GROUPS = 10
"""Groups of samples for the standard error: sample i belongs to group i mod 10."""


@method(axioms=("linearity", "implementation_invariance"), plain_gradient=True, fills=True)
def lime(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    segments: Int[Array, "*space"],
    baseline: Float[Array, "*in"],
    n_samples: Count = 1000,
    distance: Distance = "cosine",
    width: Positive = 0.25,
    ridge: NonNegative = 1.0,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Fit the score of partly hidden examples by a weighted ridge regression on which segments are shown.

    ``c minimizes sum_i w_i (f(x_i) - c_0 - z_i . c)^2 + ridge |c|^2`` over masks ``z_i`` of one number per segment, 1
    where it is shown; ``x_i`` has the baseline where it is not. Mask 0 shows everything, the others every segment with
    probability 1/2. ``w_i = exp(-d_i^2 / (2 width^2))`` with the distance ``d_i`` of the mask from the full one. The
    map has ``c_s`` at every pixel of segment s.

    Where ``n_samples`` reaches 2^segments, every mask is evaluated once and counts n_samples / 2^segments times, which
    is its expectation: the result is free of chance, and exact for a score that is linear in the segments as the
    ridge goes to 0.

    The defaults are those of the authors' code for images: cosine distance, width 0.25, weights
    ``sqrt(exp(-d^2 / width^2))``, ridge 1, intercept not penalized, 1000 samples. That code also hides segments behind
    their mean color (``jaxplain.core.segment_mean.SegmentMean``), cuts them by quickshift
    (``jaxplain.core.segmenters.quickshift``), explains probabilities (``jaxplain.Prob``), and fits the largest 100,000
    coefficients, which is all of them.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; mask i uses ``fold_in(key, i)``.
        segments: Integers 0 to n - 1, of the example's shape or without its channels.
        baseline: What a hidden segment looks like, an array of the example's shape or a fill.
        n_samples: Number of masks, the full one included; the example itself is evaluated once more.
        distance: "cosine", ``1 - sqrt(shown / n)``, or "hamming", ``1 - shown / n``.
        width: Of the kernel, in units of the distance; a large one weights all masks alike.
        ridge: Weight of the penalty beside the sum over the masks; with 0, masks that do not determine the
            coefficients, about as few as there are segments, give NaN.
        chunk: Masks evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score: the local effect of showing a pixel's segment.

    Raises:
        InputError: The segments do not fit the example, or have gaps.

    References:
        Ribeiro, Singh and Guestrin 2016, "Why should I trust you?", arXiv:1602.04938, doi:10.1145/2939672.2939778.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> f, x = lambda x: jnp.sum(jnp.array([2.0, 1.0, 1.0]) * x), jnp.array([1.0, 2.0, 3.0])
        >>> known = {"key": jax.random.key(0), "segments": jnp.array([0, 1, 1]), "baseline": 0 * x}
        >>> lime(f, x, **known, n_samples=4, ridge=0.0).round(4)
        Array([2., 5., 5.], dtype=float32)
    """
    parts = as_segments("lime", segments, x.shape)
    masks = _masks(key, parts, n_samples)
    return _estimate(f, x, parts, baseline, masks, distance, width, ridge, groups=1).once(masks.n, chunk)[0]


@with_diagnostics(lime)
def lime_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    segments: Array,
    baseline: Array,
    n_samples: int,
    distance: Distance,
    width: Array,
    ridge: Array,
    chunk: int | None,
) -> Diagnosed:
    """Return the map, its relative standard error, and how much of the score the linear model explains.

    The error is a jackknife over 10 groups of masks, which holds whatever the score does between the masks. It is that
    of the draw of masks alone: neither the pull of the ridge toward zero nor what is not linear counts.

    Args:
        f: Score of one example.
        x: The example.
        key, segments, baseline, n_samples, distance, width, ridge, chunk: As in ``lime``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t), "r2": (*t)}``: norm of the standard error over norm of the map, 0 with all
        masks and NaN for fewer than 10; and the weighted R squared of the local model, NaN for a constant score.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> known = {"key": jax.random.key(0), "segments": jnp.array([0, 1]), "baseline": jnp.zeros(2)}
        >>> _, figures = lime_with_diagnostics(lambda x: x.sum(), jnp.ones(2), **known, n_samples=4, ridge=0.0)
        >>> float(figures["stderr"]), round(float(figures["r2"]), 4)
        (0.0, 1.0)
    """
    parts = as_segments("lime", segments, x.shape)
    masks = _masks(key, parts, n_samples)
    groups = 1 if masks.all else GROUPS
    return _estimate(f, x, parts, baseline, masks, distance, width, ridge, groups=groups).once(masks.n, chunk)


@in_rounds(lime, count="n_samples")
def lime_in_rounds(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    segments: Array,
    baseline: Array,
    distance: Distance,
    width: Array,
    ridge: Array,
) -> Estimate:
    """Return the estimate that can go on; its masks are always drawn, however few there are."""
    parts = as_segments("lime", segments, x.shape)
    return _estimate(f, x, parts, baseline, _masks(key, parts, 0), distance, width, ridge, groups=GROUPS)


class _Masks(NamedTuple):
    """Masks by number: how many, how often each counts, and whether they are all that there are."""

    shown: Callable[[Array], Array]
    n: int
    times: float
    all: bool


def _masks(key: Array, segments: Segments, n_samples: int) -> _Masks:
    n_all, numbers = 2**segments.n, jnp.arange(segments.n, dtype=jnp.int32)
    if n_samples >= n_all:
        return _Masks(lambda i: (i >> numbers) & 1 == 0, n_all, n_samples / n_all, True)

    def drawn(i: Array) -> Array:
        return jax.random.bernoulli(sample_key(key, i), 0.5, (segments.n,)) | (i == 0)

    return _Masks(drawn, n_samples, 1.0, False)


def _estimate(
    f: ScoreFn,
    x: Array,
    segments: Segments,
    baseline: Array,
    masks: _Masks,
    distance: Distance,
    width: Array | float,
    ridge: Array | float,
    *,
    groups: int,
) -> Estimate:
    """Return the regression of the score's change on masks about 1/2: no digits are lost. One group has no error."""
    score, fill = wide(f(x)), fill_of(baseline, x)
    dtype, there = score.dtype, present(segments)

    def sample(i: Array) -> tuple[Array, Array, Array]:
        shown = masks.shown(i)
        kept = spread(shown, segments, x.shape)
        change = wide(f(jnp.where(kept, x, fill(kept)))) - score
        share = jnp.sum(shown & there, dtype=dtype) / jnp.sum(there, dtype=dtype)
        far = 1 - (jnp.sqrt(share) if distance == "cosine" else share)
        weight = masks.times * jnp.exp(-jnp.square(far / jnp.asarray(width, dtype)) / 2)
        row = jnp.concatenate([jnp.ones(1, dtype), shown.astype(dtype) - 0.5])
        return row, change.reshape(-1), weight * jax.nn.one_hot(i % groups, groups, dtype=dtype)

    def finish(sums: Sums, n: Array | int) -> Diagnosed:
        penalty, over_pixels = jnp.asarray(ridge, dtype), square_weights(segments, x, divided=False).astype(dtype)
        found = ridge_fit(sums.together, penalty)
        values = _values(found[0], score)
        if groups == 1:
            squared_error = jnp.zeros(score.shape, dtype)
        else:
            variance = _values(jackknife(sums, penalty), score)
            squared_error = jnp.sum(variance * jnp.broadcast_to(over_pixels, variance.shape), axis=-1)
            squared_error = jnp.where(n < groups, jnp.nan, squared_error)
        stderr = relative_error(values, squared_error, over_pixels)
        r2 = r_squared(sums.together, found).reshape(score.shape)
        return written(values, segments, x, divided=False), {"stderr": stderr, "r2": r2}

    return Estimate(sample, weighted_sums, finish)


def _values(found: Array, score: Array) -> Array:
    """Return ``(*t, n)`` of what was found per feature and score, the intercept left out."""
    return found[1:].T.reshape(*score.shape, -1)
