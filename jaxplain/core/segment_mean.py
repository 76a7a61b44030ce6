"""The baseline of superpixels: each segment in its own mean color."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxplain._pytree import pytree
from jaxplain._typing import Array
from jaxplain.core.sampling import wide
from jaxplain.core.segments import Segments, as_segments


@pytree
class SegmentMean:
    """The image with every segment in its mean color: a hidden segment loses its texture, not its color.

    Args:
        segments: The map, the same for all images; made from an array of integers by ``SegmentMean.of``.

    Example:
        >>> hidden = SegmentMean.of(np.array([[0, 1, 1]]))
        >>> hidden(jnp.array([[[2.0], [3.0], [5.0]]]), None).ravel()
        Array([2., 4., 4.], dtype=float32)
    """

    segments: Segments

    @classmethod
    def of(cls, labels: Any) -> "SegmentMean":
        """Make the baseline from a map of integers 0 to n - 1.

        Raises:
            InputError: Numbers are missing.
            InputTypeError: They are no integers.
        """
        return cls(as_segments("SegmentMean", labels, labels.shape))

    def __call__(self, x: Array, key: Array | None) -> Array:
        segments = as_segments("SegmentMean", self.segments, x.shape)
        pixels, labels = wide(x).reshape(segments.labels.size, -1), segments.labels.reshape(-1)
        sums = jax.ops.segment_sum(pixels, labels, segments.n)
        sizes = jax.ops.segment_sum(jnp.ones_like(pixels[:, :1]), labels, segments.n)
        return jnp.take(sums / sizes, labels, axis=0).reshape(x.shape).astype(x.dtype)
