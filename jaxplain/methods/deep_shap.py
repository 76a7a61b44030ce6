"""Deep SHAP: DeepLIFT averaged over a background set."""

from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import PyTree, ScoreFn
from jaxplain.core.backgrounds import check_background, mean_score
from jaxplain.core.noise import relative_standard_error
from jaxplain.core.paths import completeness_gap
from jaxplain.core.sampling import Reducer, mean, moments, reduce_over
from jaxplain.graph.composites.difference.composite import DEEPLIFT
from jaxplain.graph.contributions import contributions
from jaxplain.graph.placing import Unknown


@method(axioms=("completeness", "linearity", "dummy"), plain_gradient=True, rules=lambda f, x, **context: DEEPLIFT)
def deep_shap(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    background: Float[Array, "n *in"],
    chunk: int | None = None,
    unknown: Unknown = "raise",
) -> Float[Array, "*out"]:
    """Average DeepLIFT over baselines from a background set.

    ``map = 1/n sum_i deeplift(f, x, b_i)``, which sums to ``f(x) - 1/n sum_i f(b_i)``, to rounding. It approximates
    Shapley values of the expected score, exactly so for linear functions.

    Args:
        f: Score of one example.
        x: The example.
        background: Examples to compare with, ``(n, *in)``, n at least 1; the same for all images.
        chunk: Baselines evaluated together; changes memory and speed only.
        unknown: As in ``deeplift``.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: The background is no set of such examples, or an operation has no rule.

    References:
        Lundberg and Lee 2017, A unified approach to interpreting model predictions, arXiv:1705.07874. Chen, Lundberg
        and Lee 2022, Explaining a series of models by propagating Shapley values, doi:10.1038/s41467-022-31384-3.

    Example:
        >>> deep_shap(lambda x: x[0] * x[1], jnp.array([3.0, 2.0]), background=jnp.array([[0.0, 0.0], [1.0, 1.0]]))
        Array([3. , 2.5], dtype=float32)
    """
    return _over(background, f, x, chunk, unknown, mean).astype(x.dtype)


def _over(background: Array, f: ScoreFn, x: Array, chunk: int | None, unknown: Unknown, how: Reducer) -> PyTree:
    check_background("deep_shap", background, x.shape)

    def sample(i: Array) -> Array:
        return contributions(f, x, background[i], unknown=unknown, where="deep_shap")

    return reduce_over(sample, len(background), how, chunk=chunk)


@with_diagnostics(deep_shap)
def deep_shap_with_diagnostics(
    f: ScoreFn, x: Float[Array, "*in"], *, background: Array, chunk: int | None, unknown: Unknown
) -> Diagnosed:
    """Return the map, its completeness gap and its relative standard error.

    ``gap = sum(map) - (f(x) - mean f(b))``. The standard error takes the background for a sample of what it stands for;
    the norm of the error over the norm of the map.

    Args:
        f: Score of one example.
        x: The example.
        background, chunk, unknown: As in ``deep_shap``, with its defaults.

    Returns:
        The map, and ``{"gap": (*t), "stderr": (*t)}``; the second is NaN for a background of one.

    Example:
        >>> backgrounds = jnp.array([[0.0, 0.0], [1.0, 1.0]])
        >>> product, two = lambda x: x[0] * x[1], jnp.array([3.0, 2.0])
        >>> _, figures = deep_shap_with_diagnostics(product, two, background=backgrounds)
        >>> float(figures["gap"])
        0.0
    """
    found = _over(background, f, x, chunk, unknown, moments)
    attribution = found.mean.astype(x.dtype)
    score = f(x)
    change = score - mean_score(f, background, chunk=chunk).astype(score.dtype)
    gap = completeness_gap(attribution, change)
    return attribution, {"gap": gap, "stderr": relative_standard_error(found, x.ndim)}
