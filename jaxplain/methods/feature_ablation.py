"""Feature ablation: the drop of the score when a segment is hidden."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.collecting import collected
from jaxplain.core.imputation import fill_of
from jaxplain.core.sampling import wide
from jaxplain.core.segments import as_segments, show, spread


@method(axioms=("linearity", "implementation_invariance", "dummy", "symmetry"), plain_gradient=True, fills=True)
def feature_ablation(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    segments: Int[Array, "*space"],
    baseline: Float[Array, "*in"],
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Hide one segment after the other and record how far the score drops.

    ``map_p = f(x) - f(x with p's segment replaced by the baseline)``, the same for all pixels of a segment. It takes as
    many evaluations as there are segments, and one. With the labels of an atlas on aligned images this is ablation by
    region: one number per region, comparable between images.

    Args:
        f: Score of one example.
        x: The example.
        segments: Numbers 0 to n - 1, all of which occur, of the example's shape or without its channels.
        baseline: What a hidden pixel looks like, an array of the example's shape or a fill.
        chunk: Segments evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score; positive where hiding lowers the score.

    Raises:
        InputError: The segments do not fit the example, or numbers are missing.

    References:
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901, for patches.

    Example:
        Of an atlas with background (0), a left and a right region:

        >>> atlas = jnp.array([[0, 1, 2], [0, 1, 2]])
        >>> x = jnp.array([[5.0, 1.0, 2.0], [5.0, 3.0, 4.0]])[..., None]
        >>> maps = feature_ablation(lambda x: x[:, 1].sum() - x[:, 2].sum(), x, segments=atlas, baseline=0 * x)
        >>> maps[..., 0]
        Array([[ 0.,  4., -6.],
               [ 0.,  4., -6.]], dtype=float32)
    """
    parts = as_segments("feature_ablation", segments, x.shape)
    fill, numbers = fill_of(baseline, x), jnp.arange(parts.n, dtype=jnp.int32)

    def without(segment: Array) -> Array:
        shown = numbers != segment
        return f(show(x, fill(spread(shown, parts, x.shape)), shown, parts))

    drops = wide(f(x))[..., None] - collected(without, parts.n, chunk)
    return spread(drops, parts, x.shape).astype(x.dtype)
