"""Owen values over a tree of players: which coalitions they need, and where players sit in the tree.

A binary tree cuts the players into groups, those into smaller groups, down to single players. The value of a group is
divided between its two halves by the rule for two players, ``(v(half alone) + v(both) - v(other alone)) / 2`` of what
is added to those outside; and whoever is outside, group by group on the way up, is there or not with equal chance
(Owen 1977, doi:10.1007/978-3-642-45494-3_7). So a group under d others is met in 2^d surroundings.

A tree is written as scipy writes linkages: merge k joins two clusters to the cluster n + k, players being 0 to n - 1.
"""

from collections import defaultdict, deque
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain._errors import InputError
from jaxplain._typing import Array
from jaxplain.core.segments import Segments

Merges = Sequence[tuple[int, int]]


def halving(n: int) -> Merges:
    """Return the balanced tree, which cuts 0 ... n - 1 into halves, the first the larger one.

    Example:
        >>> halving(3)
        [(0, 1), (3, 2)]
    """
    merges: list[tuple[int, int]] = []

    def cut(low: int, high: int) -> int:
        if high - low == 1:
            return low
        middle = (low + high + 1) // 2
        merges.append((cut(low, middle), cut(middle, high)))
        return n + len(merges) - 1

    cut(0, n)
    return merges


def read_merges(where: str, flat: Sequence[int], n: int) -> Merges:
    """Return the merges of a tree written one after the other.

    Raises:
        InputError: They are no tree of n players.

    Example:
        >>> read_merges("here", (0, 1, 2, 3), 3)
        [(0, 1), (2, 3)]
    """
    merges = list(zip(flat[::2], flat[1::2], strict=False))
    known = all(0 <= one < n + k for k, pair in enumerate(merges) for one in pair)
    if len(flat) != 2 * (n - 1) or not known or len(set(flat)) != len(flat):
        raise InputError(
            f"{where}: merges = {tuple(flat)} are no tree of {n} segments; pass {n - 1} pairs, one after the "
            "other, pair k joining two clusters that are not joined yet to the cluster n + k, as linkages of scipy: "
            "tuple(linkage[:, :2].astype(int).ravel())."
        )
    return merges


def coalitions_of(merges: Merges, n: int, n_evaluations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coalitions whose scores make the Owen values, and what each counts in the value of each player.

    Groups are opened level by level as long as the evaluations last. What belongs to a group that stays closed is
    divided equally between its players.

    Args:
        merges: The tree.
        n: Number of players.
        n_evaluations: Most coalitions, those of none and all included.

    Returns:
        Booleans and weights, both ``(coalitions, n)``.

    Example:
        >>> coalitions, weights = coalitions_of(halving(16), 16, 500)
        >>> coalitions.shape, weights.sum(axis=0).any()
        ((172, 16), np.False_)
    """
    members = [1 << player for player in range(n)]
    for first, second in merges:
        members.append(members[first] | members[second])
    weights: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(n))
    known = {0, members[-1]}
    # A group, and the coalitions of players outside in which it is met.
    groups = deque([(len(members) - 1, [0])])
    spent = False
    while groups:
        group, outside = groups.popleft()
        halves = () if group < n else merges[group - n]
        needed = {around | members[half] for around in outside for half in halves} - known
        spent = spent or len(known) + len(needed) > n_evaluations
        if halves and not spent:
            known |= needed
            for half, other in (halves, halves[::-1]):
                groups.append((half, [*outside, *(around | members[other] for around in outside)]))
            continue
        share = _row(members[group], n) / (members[group].bit_count() * len(outside))
        for around in outside:
            weights[around | members[group]] += share
            weights[around] -= share
    return np.stack([_row(coalition, n) for coalition in weights]), np.stack(list(weights.values()))


def places(segments: Segments) -> Array:
    """Return the place of each segment in a balanced tree that keeps near segments together.

    Groups are cut in halves along the axis on which the centers of their segments are furthest apart; equal ones keep
    the order of their numbers. On a grid this cuts the longer side, time after time.

    Returns:
        ``(n,)``: the number that ``halving(n)`` has for each segment.

    Example:
        >>> from jaxplain.core.segments import as_segments, grid_segments
        >>> places(as_segments("here", grid_segments((4, 4), (2, 4)), (4, 4))).tolist()
        [0, 1, 4, 5, 2, 3, 6, 7]
    """
    n, labels = segments.n, segments.labels.reshape(-1)
    ones = jnp.ones(labels.shape, jnp.float32)
    sizes = jnp.maximum(jax.ops.segment_sum(ones, labels, n), 1)
    along = [lax.broadcasted_iota(jnp.float32, segments.labels.shape, axis) for axis in range(segments.labels.ndim)]
    centers = jnp.stack([jax.ops.segment_sum(line.reshape(-1), labels, n) / sizes for line in along], axis=1)
    order, cuts = jnp.arange(n, dtype=jnp.int32), [(0, n)]
    while len(cuts) < n:
        number = jnp.asarray(np.repeat(np.arange(len(cuts)), [high - low for low, high in cuts]), jnp.int32)
        own = centers[order]
        low, high = (how(own, number, len(cuts)) for how in (jax.ops.segment_min, jax.ops.segment_max))
        axis = jnp.argmax(high - low, axis=1)[number]
        position = jnp.take_along_axis(own, axis[:, None], axis=1)[:, 0]
        _, _, order = lax.sort((number, position, order), num_keys=2, is_stable=True)
        cuts = [part for low, high in cuts for part in _halves(low, high)]
    return jnp.argsort(order).astype(jnp.int32)


def _halves(low: int, high: int) -> list[tuple[int, int]]:
    middle = (low + high + 1) // 2
    return [(low, high)] if high - low == 1 else [(low, middle), (middle, high)]


def _row(coalition: int, n: int) -> np.ndarray:
    """Return the booleans of a coalition written as the bits of a number."""
    bits = np.frombuffer(coalition.to_bytes(n // 8 + 1, "little"), np.uint8)
    return np.unpackbits(bits, bitorder="little")[:n].astype(bool)
