"""Estimates that can go on: a map from numbered samples, the figures of its error, and the rounds to a tolerance.

A method that samples says what one sample is, how samples are reduced, and what map and figures the reduction gives.
Whoever runs it may then take the samples in rounds, look at the error after each, and go on from the state so far.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._registry import Diagnosed, Rounds, find_method, put_entry
from jaxplain._typing import Array, PyTree
from jaxplain.core.noise import relative_standard_error
from jaxplain.core.sampling import Moments, Reducer, continue_over, moments, reduce_over, relative_norm

F = TypeVar("F", bound=Callable[..., "Estimate"])


class Estimate(NamedTuple):
    """A map that numbered samples estimate.

    Args:
        sample: The number of a sample, an int32 scalar, to a pytree of arrays. It knows nothing of how many there are.
        how: The reducer of the samples.
        finish: What the reducer returns, and the number of samples (which may be traced), to the map and its figures:
            ``stderr``, the norm of the standard error over the norm of the map, or ``gap``, the completeness gap in
            units of the score; each of the score's shape.
    """

    sample: Callable[[Array], PyTree]
    how: Reducer
    finish: Callable[[PyTree, Array | int], Diagnosed]

    def once(self, n: int, chunk: int | None) -> Diagnosed:
        """Return the map of n samples, and its figures."""
        return self.finish(reduce_over(self.sample, n, self.how, chunk=chunk), n)


class Round(NamedTuple):
    """What an image has after a round.

    Args:
        map: The map of all samples so far.
        figures: The figures of its error, per score.
        error: The one that is held to the tolerance, the largest over the scores; NaN where it is unknown.
        state: From which the next round goes on.
    """

    map: Array
    figures: dict[str, Array]
    error: Array
    state: PyTree


def of_mean(sample: Callable[[Array], Array], x: Array) -> Estimate:
    """Return the estimate whose map is the mean of the samples' maps.

    Args:
        sample: The number of a sample to a map ``(*t, *in)``.
        x: The example.

    Example:
        >>> numbers = of_mean(lambda i: i.astype(jnp.float32) * jnp.ones(2), jnp.ones(2))
        >>> found, figures = numbers.once(5, None)
        >>> found, round(float(figures["stderr"]), 4)
        (Array([2., 2.], dtype=float32), 0.3536)
    """

    def finish(maps: Moments, n: Array | int) -> Diagnosed:
        return maps.mean.astype(x.dtype), {"stderr": relative_standard_error(maps, x.ndim)}

    return Estimate(sample, moments, finish)


def in_rounds(
    of: Callable[..., Any],
    *,
    count: str,
    nested: bool = False,
    fixed: Mapping[str, Any] | None = None,
    size: Callable[[Mapping[str, Any]], int] = lambda words: 1,
    evaluations: Callable[[Mapping[str, Any]], int] | None = None,
) -> Callable[[F], F]:
    """Register the form of a method that can go on: ``(f, x, **keywords)`` to an ``Estimate``.

    The form names what it needs of the method's keywords, without defaults, among them all of the context that is not
    optional. The engine takes the samples and knows how many, so few need ``count``, and none ``chunk``. What is not
    named cannot be chosen in rounds.

    Args:
        of: The method.
        count: Its knob for the number of samples, which is that of the first round.
        nested: Whether samples are nodes of a rule whose intervals are halved by every round.
        fixed: Knobs with which the method, at once, gives what its rounds give, where those are not the defaults.
        size: From context and static knobs, how many of what ``count`` counts make one sample, such as 2 for pairs.
        evaluations: From the same, how many evaluations of the network one sample takes; ``size`` by default.

    Raises:
        TypeError: The keywords are not the method's; at import.

    Example:
        >>> import jaxplain.methods
        >>> find_method("smoothgrad").rounds.count
        'n_samples'
    """

    def register(function: F) -> F:
        known = find_method(of.__name__)
        named = [one for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY]
        names = {one.name for one in named}
        required = {*known.context} - {*known.optional}
        apart = not required <= names <= {*known.context, *known.knobs}
        if apart or any(one.default is not one.empty for one in named):
            raise TypeError(
                f"{function.__name__}: the keywords must be those of {known.name} without defaults, {sorted(required)} "
                "among them."
            )
        for name in (count, *(fixed or {})):
            if name not in known.knobs:
                raise TypeError(f"{function.__name__}: {known.name} has no knob {name!r}.")
        rounds = Rounds(function, tuple(sorted(names)), count, nested, fixed or {}, size, evaluations or size)
        put_entry(replace(known, rounds=rounds))
        return function

    return register


def next_round(estimate: Estimate, state: PyTree, first: Array, stop: Array, *, chunk: int) -> Round:
    """Take in the samples ``first`` to ``stop - 1``.

    Where the figures know no standard error, the samples are nodes of nested rules, and ``step`` joins the figures: the
    norm of the change since the last round over the norm of the map. It is unknown after the first round.

    Args:
        estimate: The estimate.
        state: What the last round left; None is enough for the first.
        first: Number of the first sample, an int32 scalar: how many there were so far.
        stop: How many there are then.
        chunk: Samples evaluated together.

    Example:
        >>> from jaxplain.core.sampling import total
        >>> numbers = Estimate(lambda i: i.astype(jnp.float32), total, lambda sum, n: (sum, {"gap": jnp.zeros(())}))
        >>> begun = next_round(numbers, None, jnp.int32(0), jnp.int32(4), chunk=2)
        >>> found = next_round(numbers, begun.state, jnp.int32(4), jnp.int32(5), chunk=2)
        >>> float(found.map), float(found.figures["step"])
        (10.0, 0.4000000059604645)
    """
    after = continue_over(estimate.sample, estimate.how, state, first, stop, chunk=chunk)
    attribution, figures = estimate.finish(estimate.how.result(after, stop), stop)
    if "stderr" not in figures:
        before = after if state is None else state
        previous, _ = estimate.finish(estimate.how.result(before, first), first)
        step = _relative_change(attribution, previous, next(iter(figures.values())).ndim)
        figures = {**figures, "step": jnp.where(first == 0, jnp.nan, step)}
    return Round(attribution, figures, relative_error(attribution, figures), after)


def relative_error(attribution: Array, figures: dict[str, Array]) -> Array:
    """Return the error that is held to a tolerance: a fraction, the largest over the scores.

    It is the standard error where there is one. Of nested rules it is the larger of the step and of ``|gap|`` over the
    change of the score, ``sum(map) - gap``: a small gap alone does not mean a small error.

    Args:
        attribution: The map ``(*t, *map)``.
        figures: Its figures ``(*t)``.

    Example:
        >>> figures = {"gap": jnp.array(0.2), "step": jnp.array(0.01)}
        >>> round(float(relative_error(jnp.array([1.2, 1.0]), figures)), 3)
        0.1
    """
    if "stderr" in figures:
        return jnp.max(figures["stderr"]).astype(jnp.float32)
    gap = figures["gap"]
    change = jnp.sum(attribution, axis=tuple(range(gap.ndim, attribution.ndim))) - gap
    relative = jnp.where(gap == 0, 0.0, jnp.abs(gap / change))
    return jnp.max(jnp.maximum(relative, figures["step"])).astype(jnp.float32)


def totals(where: str, first: int, most: int, *, nested: bool) -> tuple[int, ...]:
    """Return how many samples there are after each round: twice as many every time, up to a budget.

    Args:
        where: The method, for messages.
        first: Samples of the first round.
        most: Most samples that the budget pays for.
        nested: Whether samples are nodes of a rule whose intervals are halved, which cannot stop half way.

    Raises:
        InputError: The budget does not pay for a first round, or there is none; a nested rule has less than two nodes.

    Example:
        >>> totals("here", 50, 300, nested=False), totals("here", 5, 30, nested=True)
        ((50, 100, 200, 300), (5, 9, 17))
    """
    if first < 1:
        raise InputError(f"{where}: the first round has no whole sample; raise the number of samples.")
    if most < first:
        raise InputError(
            f"{where}: the first round takes {first} samples and the budget pays for {most}; raise budget or lower "
            "the number of samples, which is that of the first round."
        )
    if nested and first < 2:
        raise InputError(f"{where}: nested rules begin with at least 2 nodes, got {first}; raise their number.")
    found = [first]
    while found[-1] < most:
        following = 2 * found[-1] - nested
        if following > most and nested:
            break
        found.append(min(following, most))
    return tuple(found)


def _relative_change(now: Array, before: Array, score_ndim: int) -> Array:
    over = tuple(range(score_ndim, now.ndim))
    return relative_norm(jnp.sum(jnp.square(now - before), axis=over), jnp.sum(jnp.square(now), axis=over))
