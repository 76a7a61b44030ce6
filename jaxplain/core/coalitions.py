"""Games: the segments of an example are players, and a coalition is worth the score with only its segments shown.

Values of all forms are sums of scores of coalitions, each times one number per player: ``weighted_values`` sums them
in bounded memory. The one without players is the baseline, that of all players the example.
"""

from collections.abc import Callable

import jax.numpy as jnp

from jaxplain._typing import Array, ScoreFn
from jaxplain.core.imputation import Fill, fill_of
from jaxplain.core.sampling import reduce_over, relative_norm, total, wide
from jaxplain.core.segments import Segments, entries, show, spread

Game = Callable[[Array], Array]
"""A coalition, ``(n,)`` booleans, to its score ``(*t)`` in float32 or wider."""


def game_of(f: ScoreFn, x: Array, baseline: Array | Fill, segments: Segments) -> Game:
    """Return the score as a function of which segments are shown.

    Args:
        f: Score of one example.
        x: The example.
        baseline: What a hidden segment looks like, an array that broadcasts against the example or a fill.
        segments: The players.

    Example:
        >>> from jaxplain.core.segments import as_segments
        >>> segments = as_segments("here", np.array([0, 1, 1]), (3,))
        >>> float(game_of(jnp.sum, jnp.ones(3), jnp.zeros(3), segments)(jnp.array([False, True])))
        2.0
    """
    fill = fill_of(baseline, x)

    def score(coalition: Array) -> Array:
        hidden = fill(spread(coalition, segments, x.shape))
        return wide(f(show(x, hidden, coalition, segments)))

    return score


def outer(scores: Array, weights: Array) -> Array:
    """Return ``(*t, n)``: each score times each weight; not by a matrix product, whose precision devices lower."""
    return scores[..., None] * jnp.broadcast_to(weights.astype(scores.dtype), (*scores.shape, weights.size))


def weighted_values(
    game: Game, member: Callable[[Array], tuple[Array, Array]], n_coalitions: int, *, chunk: int | None
) -> Array:
    """Sum the scores of coalitions, each times its weights for the players.

    Args:
        game: The score of a coalition.
        member: Number of a coalition to the coalition and its weights, both ``(n,)``.
        n_coalitions: How many there are, at least 1.
        chunk: Coalitions evaluated together.

    Returns:
        ``(*t, n)``.
    """

    def part(number: Array) -> Array:
        coalition, weights = member(number)
        return outer(game(coalition), weights)

    return reduce_over(part, n_coalitions, total, chunk=chunk)


def written(values: Array, segments: Segments, x: Array, *, divided: bool) -> Array:
    """Write the players' values to the entries of their segments, in the example's dtype.

    Args:
        values: ``(*t, n)``.
        segments: The players.
        x: The example.
        divided: Whether a value is divided by the number of its segment's entries, so that the map has the sum of the
            values; else each entry bears the whole value.

    Example:
        >>> from jaxplain.core.segments import as_segments
        >>> segments = as_segments("here", np.array([0, 1, 1]), (3,))
        >>> written(jnp.array([5.0, 7.0]), segments, jnp.ones(3), divided=True)
        Array([5. , 3.5, 3.5], dtype=float32)
    """
    if divided:
        count = jnp.maximum(entries(segments, x.shape), 1).astype(values.dtype)
        values = values / jnp.broadcast_to(count, values.shape)
    return spread(values, segments, x.shape).astype(x.dtype)


def square_weights(segments: Segments, x: Array, *, divided: bool) -> Array:
    """Return, for each player, how often the square of its value counts in the square of the map's norm."""
    count = entries(segments, x.shape)
    return 1 / jnp.maximum(count, 1) if divided else count


def relative_error(values: Array, squared_error: Array, weights: Array) -> Array:
    """Return the norm of the map's error over that of the map, 0 where there is no error.

    Args:
        values: ``(*t, n)``.
        squared_error: ``(*t)``, the expected square of the norm of the map's error.
        weights: ``square_weights``.
    """
    size = jnp.sum(jnp.square(values) * jnp.broadcast_to(weights.astype(values.dtype), values.shape), axis=-1)
    return relative_norm(squared_error, size)
