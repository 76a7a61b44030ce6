"""DeepLIFT: contributions to the change of a score from a baseline."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import ScoreFn
from jaxplain.graph.composites.difference.composite import DEEPLIFT
from jaxplain.graph.contributions import contributions
from jaxplain.graph.placing import Unknown


@method(
    axioms=("completeness", "linearity", "dummy", "sensitivity"),
    plain_gradient=True,
    rules=lambda f, x, **context: DEEPLIFT,
)
def deeplift(
    f: ScoreFn, x: Float[Array, "*in"], *, baseline: Float[Array, "*in"], unknown: Unknown = "raise"
) -> Float[Array, "*out"]:
    """Divide the change of the score among the input's entries, block by block, by DeepLIFT's Rescale rule.

    ``map = (x - b) m`` where the multiplier m goes backward through the network as a gradient does, with differences
    from the values at the baseline in the place of derivatives. It sums to f(x) - f(b), to rounding.

    - Functions of one entry: ``(f(x) - f(b)) / (x - b)``, and the derivative where that is below rounding.
    - Products: the mean of the other factor. Other functions of two entries: the mean over both orders of change.
    - Maxima, pooling among them: a rise goes to the winner at x, a fall to the winner at b; overlapping windows add.
      Other conventions are complete as well, and differ by tens of percent.
    - Softmax: the derivative at logarithmic means of the probabilities. Normalizations: part by part, so that no
      contribution outgrows the change where the baseline has no variance.
    - ``where``: the derivative where both choose alike, else shares in proportion to the differences.
    - Where x and b take different branches of a ``cond``, or entries from different places, the map is NaN.

    Unlike a gradient it depends on how a function is written.

    Args:
        f: Score of one example.
        x: The example.
        baseline: With what it is compared, of the example's shape.
        unknown: What happens at an operation without a rule, such as sorting: "raise", or "gradient", which lets it
            keep its derivative and gives up completeness.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: An operation has no rule; names it, its module and the line of the source.

    References:
        Shrikumar, Greenside and Kundaje 2017, Learning important features through propagating activation differences,
        arXiv:1704.02685. Ancona, Ceolini, Öztireli and Gross 2018, arXiv:1711.06104.

    Example:
        >>> import jax
        >>> relu = jax.nn.relu
        >>> f = lambda x: relu(relu(x[0] - 1) - relu(x[1]))
        >>> deeplift(f, jnp.array([3.0, 1.0]), baseline=jnp.zeros(2))
        Array([ 2., -1.], dtype=float32)
    """
    return contributions(f, x, baseline, unknown=unknown, where="deeplift")


@with_diagnostics(deeplift)
def deeplift_with_diagnostics(f: ScoreFn, x: Float[Array, "*in"], *, baseline: Array, unknown: Unknown) -> Diagnosed:
    """Return the map and its completeness gap.

    ``gap = sum(map) - (f(x) - f(b))``, which is rounding unless ``unknown="gradient"`` let an operation pass.

    Args:
        f: Score of one example.
        x: The example.
        baseline, unknown: As in ``deeplift``, with its defaults.

    Returns:
        The map, and ``{"gap": (*t)}`` in units of the score, signed.

    Example:
        >>> product, two = lambda x: x[0] * x[1], jnp.array([3.0, 2.0])
        >>> _, figures = deeplift_with_diagnostics(product, two, baseline=0 * two)
        >>> float(figures["gap"])
        0.0
    """
    attribution = deeplift(f, x, baseline=baseline, unknown=unknown)
    score = f(x)
    summed = jnp.sum(attribution, axis=tuple(range(score.ndim, attribution.ndim)))
    return attribution, {"gap": summed - (score - f(baseline))}
