"""The straight path from a baseline to an example: scores at points of it, and the integral of the gradient along it.

What is affine in the example is interpolated between its values at both ends, and pulled back once, where that pays.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax

from jaxplain._typing import Array, ScoreFn
from jaxplain.core.baselines import like_example
from jaxplain.core.gradient import scale_maps
from jaxplain.core.nodes import Nodes
from jaxplain.core.paths import between
from jaxplain.core.sampling import DEFAULT_CHUNK, reduce_over, total, wide
from jaxplain.graph.prefix import AffinePrefix, Cut, Implementation, prefix_for_sums


@dataclass(frozen=True)
class StraightPath:
    """The path ``b + t (x - b)``, t from 0 to 1.

    Args:
        parts: The score in two parts.
        x: The example.
        baseline: The start, of the example's shape and dtype.
        start: The first part's value at the start.
        end: That at the example.
    """

    parts: AffinePrefix
    x: Array
    baseline: Array
    start: Cut
    end: Cut

    @classmethod
    def of(cls, f: ScoreFn, x: Array, baseline: Array, implementation: Implementation | None = None) -> "StraightPath":
        """Return the path of a score.

        Args:
            f: Score of one example.
            x: The example.
            baseline: The start, broadcast against the example.
            implementation: "shared", "plain" or None, see ``jaxplain.graph.prefix.prefix_for_sums``.
        """
        parts = prefix_for_sums(f, x, implementation)
        baseline = like_example(baseline, x)
        return cls(parts, x, baseline, parts.prefix(baseline), parts.prefix(x))

    def at(self, t: Array) -> Cut:
        """Return the values at the cut at one point of the path."""
        return tuple(between(first, last, t) for first, last in zip(self.start, self.end, strict=True))

    def scores(self, n_intervals: int, chunk: int | None = None) -> Array:
        """Return the scores ``(n_intervals + 1, *t)`` at even points, both ends included: forward passes alone.

        Args:
            n_intervals: At least 1.
            chunk: Points evaluated together.
        """
        points = jnp.linspace(0, 1, n_intervals + 1, dtype=wide(self.x).dtype)
        together = min(n_intervals + 1, chunk or DEFAULT_CHUNK)
        return lax.map(lambda t: self.parts.rest(self.at(t)), points, batch_size=together)

    def integral(self, nodes: Nodes, chunk: int | None = None) -> Array:
        """Return ``(x - b) * sum_i w_i df/dx(b + t_i (x - b))``, of shape ``(*t, *in)`` and the example's dtype.

        Args:
            nodes: Where the gradient is taken, and how it is weighted.
            chunk: Gradients evaluated together.
        """
        dtype = wide(self.x).dtype
        positions, weights = jnp.asarray(nodes.positions, dtype), jnp.asarray(nodes.weights, dtype)

        def step(i: Array) -> Cut:
            return tuple(weights[i].astype(g.dtype) * g for g in self.parts.gradient(self.at(positions[i])))

        mean_gradient = self.parts.pull(self.x, reduce_over(step, len(positions), total, chunk=chunk))
        return scale_maps(mean_gradient, self.x - self.baseline).astype(self.x.dtype)
