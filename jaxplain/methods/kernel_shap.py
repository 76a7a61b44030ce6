"""KernelSHAP: Shapley values of segments by a regression on coalitions."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Float, Int, Key

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, ScoreFn
from jaxplain.core.coalitions import game_of, relative_error, square_weights, written
from jaxplain.core.estimate import Estimate, in_rounds
from jaxplain.core.kernel_regression import Draws, Plan, plan, regression
from jaxplain.core.sampling import mean
from jaxplain.core.segments import Segments, as_segments, present


@method(
    axioms=("completeness", "linearity", "implementation_invariance", "sensitivity"), plain_gradient=True, fills=True
)
def kernel_shap(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    segments: Int[Array, "*space"],
    baseline: Float[Array, "*in"],
    n_samples: Count = 1024,
    paired: bool = True,
    whole: bool = True,
    divided: bool = False,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Fit the scores of coalitions of segments by values that sum to the whole change of the score.

    ``values minimize sum_S p(S) (v(S) - v(none) - sum of values in S)^2`` with the constraint that they sum to
    ``f(x) - f(baseline)``, where ``v(S)`` is the score of the example with the segments S, and the baseline elsewhere,
    and ``p(S) ~ 1 / (C(n, |S|) |S| (n - |S|))``. Over all coalitions these are the Shapley values.

    Coalitions of one segment and of all but one are always evaluated, then whole sizes from the outermost on while the
    budget covers them; of the sizes between, coalitions are drawn by the law p. Where it covers all 2^n - 2 n - 2
    others, the values are exact; with pairs of a coalition and its complement also where segments interact in pairs at
    most. Else the fit has a bias of the order of 1 over the draws, as has shap's KernelExplainer, whose problem and
    choice of sizes these are. There is no regularization.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; draw i uses ``fold_in(key, i)``.
        segments: Integers 0 to n - 1, of the example's shape or without its channels.
        baseline: What a hidden segment looks like, an array of the example's shape or a fill.
        n_samples: Number of coalitions drawn, besides the two ends and those of one segment and of all but one; whole
            sizes are taken from their evaluations. 1024 pairs are the 2048 evaluations of shap.
        paired: Whether every coalition comes with its complement, which doubles the evaluations.
        whole: Whether sizes are evaluated whole where draws would cover them; how many depends on ``n_samples`` then.
        divided: Whether a segment's value is divided over its entries, so that the map has the sum of the values; else
            each entry bears the whole value, as in Captum.
        chunk: Coalitions, or pairs, evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: The segments do not fit the example, or have gaps.

    References:
        Lundberg and Lee 2017, A unified approach to interpreting model predictions, arXiv:1705.07874. Covert and Lee
        2021, Improving KernelSHAP, arXiv:2012.01536, for pairs and the error.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> product, x = lambda x: x[0] * x[1] + x[2], jnp.array([3.0, 2.0, 1.0])
        >>> known = {"key": jax.random.key(0), "segments": jnp.array([0, 1, 2]), "baseline": 0 * x}
        >>> kernel_shap(product, x, **known).round(5)
        Array([3., 3., 1.], dtype=float32)
    """
    players = as_segments("kernel_shap", segments, x.shape)
    attribution, _ = _fitted(f, x, key, players, baseline, n_samples, paired, whole, divided, chunk)
    return attribution


@with_diagnostics(kernel_shap)
def kernel_shap_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Array,
    segments: Array,
    baseline: Array,
    n_samples: int,
    paired: bool,
    whole: bool,
    divided: bool,
    chunk: int | None,
) -> Diagnosed:
    """Return the map and its relative standard error.

    To the first order in the number of draws: the matrix of the fit is taken for its expectation, as in the unbiased
    form of Covert and Lee. Residuals are raised by generalized cross-validation for what the fit has adapted to its own
    draws; with fewer draws than about twice the segments the error is overstated rather than understated.

    Args:
        f: Score of one example.
        x: The example.
        key, segments, baseline, n_samples, paired, whole, divided, chunk: As in ``kernel_shap``, with its defaults.

    Returns:
        The map, and ``{"stderr": (*t)}``: norm of the standard error over norm of the map; 0 where nothing is drawn,
        NaN for one draw.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> known = {"key": jax.random.key(0), "segments": jnp.array([0, 1]), "baseline": jnp.zeros(2)}
        >>> _, figures = kernel_shap_with_diagnostics(jnp.prod, jnp.array([3.0, 2.0]), **known)
        >>> float(figures["stderr"])
        0.0
    """
    players = as_segments("kernel_shap", segments, x.shape)
    return _fitted(f, x, key, players, baseline, n_samples, paired, whole, divided, chunk)


def _evaluations(words: Mapping[str, Any]) -> int:
    """Return how many evaluations a draw takes; those that are not drawn are made anew in each round."""
    return 2 if words["paired"] else 1


@in_rounds(kernel_shap, count="n_samples", fixed={"whole": False}, evaluations=_evaluations)
def kernel_shap_in_rounds(
    f: ScoreFn, x: Float[Array, "*in"], *, key: Array, segments: Array, baseline: Array, paired: bool, divided: bool
) -> Estimate:
    """Return the estimate, which can go on."""
    players = as_segments("kernel_shap", segments, x.shape)
    chosen = plan(players.n, 1, paired=paired, whole=False)
    return _estimate(f, x, key, players, baseline, chosen, paired, divided, None)


def _fitted(
    f: ScoreFn,
    x: Array,
    key: Array,
    players: Segments,
    baseline: Array,
    n_samples: int,
    paired: bool,
    whole: bool,
    divided: bool,
    chunk: int | None,
) -> Diagnosed:
    chosen = plan(players.n, n_samples, paired=paired, whole=whole)
    return _estimate(f, x, key, players, baseline, chosen, paired, divided, chunk).once(max(1, chosen.n_draws), chunk)


def _estimate(
    f: ScoreFn,
    x: Array,
    key: Array,
    players: Segments,
    baseline: Array,
    chosen: Plan,
    paired: bool,
    divided: bool,
    chunk: int | None,
) -> Estimate:
    weights, game = square_weights(players, x, divided=divided), game_of(f, x, baseline, players)
    fit = regression(game, present(players), key, chosen, weights, paired=paired, chunk=chunk)

    def finish(draws: Draws, n: Array | int) -> Diagnosed:
        found = fit.finish(draws, n)
        stderr = relative_error(found.values, found.squared_error, weights)
        return written(found.values, players, x, divided=divided), {"stderr": stderr}

    return Estimate(fit.sample, mean, finish)
