"""Occlusion: the drop of the score when a patch is hidden."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import per_target, scale_maps
from jaxplain.core.imputation import fill_of
from jaxplain.core.sampling import reduce_over, total
from jaxplain.core.windows import Windows, check_windows


@method(axioms=("linearity", "implementation_invariance", "dummy"), plain_gradient=True, fills=True)
def occlusion(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    baseline: Float[Array, "*in"],
    window: tuple[int, ...] = (8, 8),
    stride: tuple[int, ...] = (4, 4),
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Slide a window of baseline over the input and record how far the score drops.

    ``map_p = mean over the windows W that cover p of f(x) - f(x with W replaced by the baseline)``. The last
    window along an axis may reach past the edge and is cut there. A window with one entry less than the input has axes
    hides all channels at once, and its drop is written to each of them.

    Args:
        f: Score of one example.
        x: The example.
        baseline: What a hidden pixel looks like, an array of the example's shape or a fill.
        window: Size of the patch along each axis, in pixels.
        stride: Step of the patch along each axis, at most its size.
        chunk: Windows evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score; positive where hiding lowers the score.

    Raises:
        InputError: Window or stride do not fit the input.

    References:
        Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901.

    Example:
        >>> import jax.numpy as jnp
        >>> occlusion(lambda x: 2 * x.sum(), jnp.array([1.0, 3.0]), baseline=jnp.zeros(2), window=(1,), stride=(1,))
        Array([2., 6.], dtype=float32)
    """
    check_windows("occlusion", x.shape, window, stride)
    axes = len(window)
    windows = Windows(x.shape[:axes], tuple(window), tuple(stride))
    score, fill = f(x), fill_of(baseline, x)

    def drop(number: Array) -> Array:
        hidden = jnp.expand_dims(windows.mask(number), tuple(range(axes, x.ndim)))
        change = score - f(jnp.where(hidden, fill(~hidden), x))
        return scale_maps(jnp.broadcast_to(per_target(change, score.ndim, x.ndim), score.shape + hidden.shape), hidden)

    drops = reduce_over(drop, len(windows), total, chunk=chunk)
    once = jnp.asarray(1 / windows.coverage()).reshape(x.shape[:axes] + (1,) * (x.ndim - axes))
    return jnp.broadcast_to(scale_maps(drops, once), (*score.shape, *x.shape)).astype(x.dtype)
