"""Regions that overlap: several segmentations of one image, coarse and fine, and the order in which they matter."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array
from jaxplain.core.sampling import wide
from jaxplain.core.segments import as_segments


@pytree
class Segmentations:
    """Several segmentations of one image.

    Args:
        labels: Segment numbers from 0 on, ``(segmentation, *space)``; with images in front where they differ.
        n: Number of segments of the finest; decides the program.
    """

    labels: Array
    n: int = static()


def as_segmentations(where: str, value: Any, space: tuple[int, ...], *, per_image: bool = False) -> Segmentations:
    """Check stacks of segment maps and count their segments.

    Args:
        where: Who asks, for messages.
        value: Segmentations, or an array of integers ``(segmentation, *space)``; each map from 0 on, without gaps.
        space: Shape of one example without its channels.
        per_image: Whether there is a stack for each image, ``(image, segmentation, *space)``.

    Raises:
        InputError: The maps do not fit the example, or numbers are missing.
        InputTypeError: The maps are no integers, or are traced, so that nobody can count their segments.

    Example:
        >>> as_segmentations("here", np.array([[0, 0, 1, 1], [0, 1, 2, 2]]), (4,)).n
        3
    """
    if isinstance(value, jax.core.Tracer):
        raise InputTypeError(
            f"{where}: segmentations are traced, so the number of segments is unknown; pass "
            "jaxplain.core.regions.Segmentations(labels, n)."
        )
    labels: Any = value.labels if isinstance(value, Segmentations) else np.asarray(value)
    if labels.ndim != len(space) + 1 + per_image or labels.shape[1 + per_image :] != space or 0 in labels.shape:
        raise InputError(
            f"{where}: segmentations of shape {labels.shape} do not fit an example whose pixels are {space}; pass "
            f"{(1, *space)} or more maps, one per scale."
        )
    if isinstance(value, Segmentations):
        return value
    counts = [as_segments(f"{where}, segmentation {place}", one, space).n for place, one in _each(labels, len(space))]
    return Segmentations(jnp.asarray(labels, jnp.int32), max(counts))


def _each(labels: np.ndarray, axes: int) -> list[tuple[str, np.ndarray]]:
    """Return every map with its place among the leading axes."""
    leading = labels.shape[:-axes]
    return [(", ".join(map(str, place)), labels[place]) for place in np.ndindex(*leading)]


def grow(attribution: Array, segmentations: Segmentations, min_pixels: int = 1) -> Array:
    """Write to every pixel the density of the region that brings it, regions taken in the order of their densities.

    Starting from nothing, the segment of any scale is added whose pixels that are not covered yet have the largest
    mean attribution, and they get that mean, until no segment adds ``min_pixels``; what is left shares one mean. So
    the map has the sum of the attribution. The choice of segments counts as constant in derivatives.

    Args:
        attribution: ``(*space)``.
        segmentations: Segments of all scales.
        min_pixels: Fewest new pixels with which a segment is added.

    Example:
        >>> scales = as_segmentations("here", np.array([[0, 0, 0, 0], [0, 1, 1, 2]]), (4,))
        >>> grow(jnp.array([1.0, 5.0, 7.0, 1.0]), scales)
        Array([1., 6., 6., 1.], dtype=float32)
    """
    n_scales, n = len(segmentations.labels), segmentations.n
    labels = segmentations.labels.reshape(n_scales, -1) + n * jnp.arange(n_scales, dtype=jnp.int32)[:, None]
    values, nobody = wide(attribution).ravel(), n_scales * n
    fixed = lax.stop_gradient(values)

    def new(owner: Array) -> tuple[Array, Array]:
        """Return how many pixels every segment would add, and the sum of their attribution."""
        free = owner == nobody
        added = jnp.stack([free.astype(fixed.dtype), jnp.where(free, fixed, 0)], axis=-1)
        sums = jnp.zeros((nobody, 2), fixed.dtype).at[labels].add(jnp.broadcast_to(added, (*labels.shape, 2)))
        return sums[:, 0], sums[:, 1]

    def unfinished(state: tuple[Array, Array]) -> Array:
        return state[1]

    def add(state: tuple[Array, Array]) -> tuple[Array, Array]:
        owner, _ = state
        area, mass = new(owner)
        best = jnp.argmax(jnp.where(area >= min_pixels, mass / jnp.maximum(area, 1), -jnp.inf)).astype(jnp.int32)
        more = area[best] >= min_pixels
        return jnp.where((owner == nobody) & more & jnp.any(labels == best, axis=0), best, owner), more

    owner, _ = lax.while_loop(unfinished, add, (jnp.full(values.shape, nobody, jnp.int32), jnp.array(True)))
    mass = jax.ops.segment_sum(values, owner, nobody + 1)
    area = jax.ops.segment_sum(jnp.ones_like(values), owner, nobody + 1)
    return (mass / jnp.maximum(area, 1))[owner].reshape(attribution.shape)
