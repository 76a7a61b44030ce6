"""XRAI: integrated gradients summed over regions, taken in the order of their density."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import Count, ScoreFn
from jaxplain.core.nodes import Nodes
from jaxplain.core.paths import completeness_gap
from jaxplain.core.quadrature import Rule, nodes_and_weights
from jaxplain.core.regions import as_segmentations, grow
from jaxplain.core.sampling import wide
from jaxplain.graph.prefix import Implementation
from jaxplain.graph.straight_path import StraightPath

Channels = Literal["sum", "max"]


@method(axioms=("implementation_invariance",), plain_gradient=True)
def xrai(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    low: Float[Array, "*in"],
    high: Float[Array, "*in"],
    segmentations: Any,
    n_steps: Count = 32,
    rule: Rule = "gauss_legendre",
    channels: Channels = "sum",
    min_pixels: Count = 1,
    chunk: int | None = None,
    implementation: Implementation | None = None,
) -> Float[Array, "*out"]:
    """Grow the region that explains most per pixel, segment by segment.

    ``A = mean over black and white baselines of the integrated gradients``, channels pooled. Of the segments of all
    scales the one whose uncovered pixels have the largest mean of A is added next, and they get that mean in the map.
    Thresholds of the map are thus unions of segments, the densest first. With channels summed the map sums to
    ``f(x) - (f(black) + f(white)) / 2``. It takes ``2 n_steps`` gradients.

    Conventions of the authors' code that are choices here: channels pooled by "max", ``min_pixels=50``, segments
    widened by five pixels before they are compared (not done), and 100 steps.

    Args:
        f: Score of one example.
        x: The example.
        low: The black baseline, of the example's shape.
        high: The white baseline.
        segmentations: Segment maps ``(n, *space)`` of several scales, each numbered from 0 without gaps, such as
            ``jaxplain.core.felzenszwalb.felzenszwalb_scales`` makes; or ``jaxplain.core.regions.Segmentations``.
        n_steps: Number of gradients per baseline.
        rule: Quadrature, as in ``integrated_gradients``.
        channels: How channels become one: "sum" or "max".
        min_pixels: Fewest new pixels with which a segment is added; what is left in the end shares one mean.
        chunk: Steps evaluated together; changes memory and speed only.
        implementation: As in ``integrated_gradients``.

    Returns:
        Signed, shape ``(*t, *space)`` without channels, in units of the score per pixel.

    Raises:
        InputError: Segmentations of another shape, or with gaps.

    References:
        Kapishnikov, Bolukbasi, Viégas and Terry 2019, XRAI: Better attributions through regions, arXiv:1906.02825.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> x, halves = jnp.array([[1.0], [3.0], [1.0], [1.0]]), np.array([[0, 0, 1, 1]])
        >>> xrai(lambda x: 2 * x.sum(), x, low=0 * x, high=0 * x, segmentations=halves)
        Array([4., 4., 2., 2.], dtype=float32)
    """
    pixels = _pixel_maps(f, x, low, high, n_steps, rule, chunk, implementation)
    return _regions(pixels, x, segmentations, channels, min_pixels)


@with_diagnostics(xrai)
def xrai_with_diagnostics(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    low: Array,
    high: Array,
    segmentations: Any,
    n_steps: int,
    rule: Rule,
    channels: Channels,
    min_pixels: int,
    chunk: int | None,
    implementation: Implementation | None,
) -> Diagnosed:
    """Return the map and the completeness gap of the integrated gradients behind it.

    ``gap = sum(A) - (f(x) - (f(black) + f(white)) / 2)``.

    Args:
        f: Score of one example.
        x: The example.
        low, high, segmentations, n_steps, rule, channels, min_pixels, chunk, implementation: As in ``xrai``, with its
            defaults.

    Returns:
        The map, and ``{"gap": (*t)}`` in units of the score, signed.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> x, whole = jnp.ones((2, 1)), np.zeros((1, 2), int)
        >>> _, figures = xrai_with_diagnostics(lambda x: x.sum() ** 2, x, low=0 * x, high=2 * x, segmentations=whole)
        >>> round(float(figures["gap"]), 4)
        0.0
    """
    pixels = _pixel_maps(f, x, low, high, n_steps, rule, chunk, implementation)
    change = f(x) - jnp.mean(jax.vmap(f)(_ends(low, high, x)), axis=0)
    return _regions(pixels, x, segmentations, channels, min_pixels), {"gap": completeness_gap(pixels, change)}


def _ends(low: Array, high: Array, x: Array) -> Array:
    return jnp.stack([jnp.broadcast_to(jnp.asarray(end, x.dtype), x.shape) for end in (low, high)])


def _pixel_maps(
    f: ScoreFn,
    x: Array,
    low: Array,
    high: Array,
    n_steps: int,
    rule: Rule,
    chunk: int | None,
    implementation: Implementation | None,
) -> Array:
    """Return the mean of the integrated gradients over both baselines, one after the other."""
    ends, nodes = _ends(low, high, x), Nodes(*nodes_and_weights(rule, n_steps))

    def maps(end: Array) -> Array:
        return wide(StraightPath.of(f, x, end, implementation).integral(nodes, chunk))

    return jnp.mean(lax.map(maps, ends), axis=0)


def _regions(pixels: Array, x: Array, segmentations: Any, channels: Channels, min_pixels: int) -> Array:
    pooled = jnp.sum(pixels, axis=-1) if channels == "sum" else jnp.max(pixels, axis=-1)
    found = as_segmentations("xrai", segmentations, x.shape[:-1])

    def regions(attribution: Array) -> Array:
        return grow(attribution, found, min_pixels)

    return (jax.vmap(regions)(pooled) if pooled.ndim == x.ndim else regions(pooled)).astype(x.dtype)
