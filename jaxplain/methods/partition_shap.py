"""Partition SHAP: hierarchical Owen values over a tree of segments."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxplain._registry import method
from jaxplain._typing import Count, ScoreFn
from jaxplain.core.coalitions import game_of, weighted_values, written
from jaxplain.core.owen import coalitions_of, halving, places, read_merges
from jaxplain.core.sampling import wide
from jaxplain.core.segments import as_segments, present


@method(
    axioms=("completeness", "linearity", "implementation_invariance", "sensitivity"), plain_gradient=True, fills=True
)
def partition_shap(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    segments: Int[Array, "*space"],
    baseline: Float[Array, "*in"],
    merges: tuple[int, ...] | None = None,
    n_evaluations: Count = 500,
    divided: bool = False,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Divide the change of the score down a tree of segments, between the two halves of every group.

    ``value(half) = mean over surroundings S of (v(S + half) - v(S) + v(S + group) - v(S + other half)) / 2``, where
    ``v(S)`` is the score of the example with the segments S, and the baseline elsewhere; S runs over the ways to show
    or to hide the other half of each group above. These are Owen values: those that Shapley values become if whoever
    is in a group must be shown one after the other. They sum to ``f(x) - f(baseline)``. A balanced tree of n segments
    takes about 2/3 n^2 evaluations instead of 2^n.

    shap's PartitionExplainer computes the same values where its budget covers the tree. With fewer evaluations it
    opens groups in the order of how much the score changes, so that what it does depends on the scores; here groups
    are opened level by level, so that the map stays linear in the score. Both divide what belongs to a closed group
    equally between its segments.

    Args:
        f: Score of one example.
        x: The example.
        segments: Integers 0 to n - 1, of the example's shape or without its channels.
        baseline: What a hidden segment looks like, an array of the example's shape or a fill.
        merges: The tree: pairs of clusters, one after the other, as in scipy's linkages (``tuple(linkage[:,
            :2].astype(int).ravel())``); pair k makes the cluster n + k. None cuts each image's segments in halves by
            their centers, along the axis on which these are furthest apart.
        n_evaluations: Most evaluations, at least 2; 500 is shap's default. A balanced tree of 16 segments needs 172,
            one of 64 2,732.
        divided: Whether a segment's value is divided over its entries, as in shap, so that the map has the sum of the
            values; else each entry bears the whole value.
        chunk: Coalitions evaluated together; changes memory and speed only.

    Returns:
        Signed, shape ``(*t, *in)``, in units of the score.

    Raises:
        InputError: The segments do not fit the example or have gaps, or the merges are no tree.

    References:
        Owen 1977, Values of games with a priori unions, doi:10.1007/978-3-642-45494-3_7. Lundberg and Lee 2017, A
        unified approach to interpreting model predictions, arXiv:1705.07874.

    Example:
        >>> majority = lambda x: jnp.clip(x.sum() - 1, 0, 1)
        >>> known = {"segments": jnp.array([0, 1, 2]), "baseline": jnp.zeros(3)}
        >>> partition_shap(majority, jnp.ones(3), **known, merges=(0, 1, 3, 2))
        Array([0.5, 0.5, 0. ], dtype=float32)
    """
    players = as_segments("partition_shap", segments, x.shape)
    n = players.n
    tree = halving(n) if merges is None else read_merges("partition_shap", merges, n)
    place = places(players) if merges is None else jnp.arange(n, dtype=jnp.int32)
    table, counts = coalitions_of(tree, n, n_evaluations)
    coalitions, weights = jnp.asarray(table), jnp.asarray(counts, wide(x).dtype)
    game = game_of(f, x, baseline, players)
    values = weighted_values(
        lambda coalition: game(coalition[place]), lambda i: (coalitions[i], weights[i]), len(table), chunk=chunk
    )
    # Players of one closed group have equal weights in all coalitions; those without a pixel bear nothing of its value.
    _, group = np.unique(counts, axis=1, return_inverse=True)
    own, there = jnp.asarray(group.reshape(-1), jnp.int32)[place], present(players)
    members, real = (
        jax.ops.segment_sum(ones.astype(values.dtype), own, n)[own] for ones in (jnp.ones_like(there), there)
    )
    rise = jnp.where(there, members / jnp.maximum(real, 1), 0)
    return written(values[..., place] * jnp.broadcast_to(rise, values.shape), players, x, divided=divided)
