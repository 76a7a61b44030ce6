"""Rounds: sampling goes on for the images whose error is above a tolerance, in full batches, up to a budget.

Every image has a first round. Each later round doubles the samples and holds the images that the one before left above
the tolerance, in their order, cut into batches; the last one is filled up with repeats. So an image's samples, and
when it stops, follow from the image alone, and its place in a batch from the shard alone: a run that was killed ends
with the same bits, and how images are grouped changes rounding only.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxplain._errors import InputError
from jaxplain._registry import METHODS, Entry, Rounds, find_method
from jaxplain._typing import Array, PyTree, ScoreFn
from jaxplain.core.estimate import Round, next_round, totals
from jaxplain.core.sampling import DEFAULT_CHUNK, even_chunk
from jaxplain.core.score import Score
from jaxplain.engine.context import Shared
from jaxplain.engine.devices import ONE_DEVICE, Devices
from jaxplain.engine.lift import Arguments, Program, over_images, prepare

BUDGET = 4096


@dataclass(frozen=True)
class Stopping:
    """When sampling stops.

    Args:
        tolerance: Relative error at which the map of an image is done, such as 0.01.
        budget: Most evaluations of the network, with or without a gradient, that a map may take.

    Raises:
        InputError: The tolerance is no positive number, or there is no budget.
    """

    tolerance: float
    budget: int = BUDGET

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < inf:
            raise InputError(f"tolerance = {self.tolerance} must be a positive number, such as 0.01 for one percent.")
        if self.budget < 1:
            raise InputError(f"budget = {self.budget} must be at least 1 evaluation; leave it out for {BUDGET}.")

    @classmethod
    def of(cls, tolerance: float | None, budget: int | None) -> "Stopping | None":
        """Return when to stop, or None where no tolerance is asked for.

        Raises:
            InputError: A budget without a tolerance.
        """
        if tolerance is None:
            if budget is not None:
                raise InputError(f"budget = {budget} has no meaning without a tolerance; add one, such as 0.01.")
            return None
        return cls(tolerance, BUDGET if budget is None else budget)


class Verdict(NamedTuple):
    """What follows for the images of a batch from a round.

    Args:
        met: Which are within the tolerance.
        goes_on: Numbers of those that have another round.
        done: Numbers of all others.
        missed: The errors of those that are done above the tolerance.
    """

    met: np.ndarray
    goes_on: np.ndarray
    done: np.ndarray
    missed: list[float]


@dataclass(frozen=True)
class Schedule:
    """The rounds of a method.

    Args:
        stopping: What was asked for.
        totals: How many samples there are after each round.
        each: Evaluations of the network per sample.
    """

    stopping: Stopping
    totals: tuple[int, ...]
    each: int

    def span(self, number: int) -> tuple[np.int32, np.int32]:
        """Return the number of a round's first sample, and the number after its last."""
        return np.int32(self.totals[number - 1] if number else 0), np.int32(self.totals[number])

    def judge(self, number: int, found: Round, good: np.ndarray) -> Verdict:
        """Tell who goes on after a round: images above the tolerance, while the budget lasts.

        Args:
            number: The round.
            found: What the device made of a batch.
            good: Which of its first images, without padding, can be explained at all.
        """
        errors, last = np.asarray(found.error)[: len(good)], number + 1 == len(self.totals)
        met = good & (errors <= self.stopping.tolerance)
        goes_on = good & ~met & (not last)
        return Verdict(met, np.flatnonzero(goes_on), np.flatnonzero(~goes_on), errors[good & ~met & last].tolist())

    def evaluations(self, number: int) -> int:
        """Return the evaluations that an image has had after a round."""
        return self.totals[number] * self.each


def prepare_rounds(
    method: str | Entry, given: Mapping[str, Any], stopping: Stopping, *, x_shape: tuple[int, ...]
) -> tuple[Program, Arguments, Schedule]:
    """Check a method's keywords and part them as ``prepare`` does; tell its rounds.

    Raises:
        InputError: The method cannot go on, a knob has no meaning in rounds, the budget is too small for one; and what
            ``prepare`` refuses.
    """
    entry = find_method(method)
    program, arguments = prepare(entry, round_keywords(entry, given), x_shape=x_shape, diagnosed=False)
    rounds = known_rounds(entry)
    words = _words(arguments, program)
    first, each = words[rounds.count] // rounds.size(words), rounds.evaluations(words)
    counts = totals(entry.name, first, stopping.budget // each, nested=rounds.nested)
    return replace(program, in_rounds=True), arguments, Schedule(stopping, counts, each)


def round_keywords(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a method that is taken in rounds: those given, and the knobs that rounds fix.

    Raises:
        InputError: The method cannot go on, or something is given that has no meaning in rounds.
    """
    rounds = known_rounds(entry)
    for name, value in given.items():
        knob = entry.knobs.get(name)
        if name in (*rounds.keywords, rounds.count):
            continue
        if knob is None:  # words that nobody knows are refused by prepare
            free = value is None or name not in entry.optional
        else:
            meant = knob.check(entry.name, rounds.fixed.get(name, knob.default))
            free = knob.kind == "execution" or np.array_equal(knob.check(entry.name, value), meant)
        if not free:
            raise InputError(f"{entry.name}: {name} cannot be chosen together with a tolerance; leave one of them out.")
    return {**rounds.fixed, **given}


def known_rounds(entry: Entry) -> Rounds:
    """Return how a method is taken in rounds.

    Raises:
        InputError: It cannot be.
    """
    if entry.rounds is None:
        able = sorted(name for name, other in METHODS.items() if other.rounds is not None)
        raise InputError(f"{entry.name}: it takes no tolerance; these methods do: {', '.join(able)}.")
    return entry.rounds


@partial(jax.jit, static_argnames=("program", "devices"))
def round_batch(
    score: Score,
    x: Array,
    ids: Array,
    key: Array | None,
    arguments: Arguments,
    state: PyTree,
    first: Array,
    stop: Array,
    *,
    program: Program,
    devices: Devices = ONE_DEVICE,
) -> Round:
    """Take a method's samples ``first`` to ``stop - 1`` of every image of a batch.

    One program serves all rounds, since both numbers are traced.

    Args:
        score, x, ids, key, arguments: As in ``explain_batch``.
        state: What the last round left, images first; not read where ``first`` is 0, and then it may be None.
        first: Number of the first sample, int32.
        stop: Number after the last, int32.
        program: The method and what is static.
        devices: Those that share out the batch.
    """
    rounds, words = known_rounds(program.entry), _words(arguments, program)
    size, together = rounds.size(words), words.get("chunk") or DEFAULT_CHUNK
    chunk = even_chunk(words[rounds.count] // size, max(1, together // size))

    def one(f: ScoreFn, x: Array, keywords: dict[str, Any], *own: PyTree) -> Round:
        estimate = rounds.form(f, x, **{name: keywords.get(name) for name in rounds.keywords})
        return next_round(estimate, own[0] if own else None, first, stop, chunk=chunk)

    return over_images(
        one, score, x, ids, key, arguments, program, *(() if state is None else (state,)), devices=devices
    )


class Queue:
    """Images that wait for their next round.

    Args:
        batch: Images per step.
    """

    def __init__(self, batch: int):
        self._batch = batch
        self._waiting: dict[int, list[PyTree]] = {}

    def put(self, number: int, images: PyTree, chosen: np.ndarray) -> None:
        """Let some images of a batch wait.

        Args:
            number: The round.
            images: Arrays with the images first.
            chosen: Numbers of those that wait.
        """
        if len(chosen):
            part = jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], images)
            self._waiting.setdefault(number, []).append(part)

    def take(self, *, rest: bool) -> tuple[int, PyTree] | None:
        """Return the next batch and its round, or None: of the earliest round that has a full one.

        Args:
            rest: Whether nothing else is under way, so that the earliest round's rest is all of it.
        """
        for number in sorted(self._waiting):
            parts = self._waiting[number]
            n = sum(map(_count, parts))
            if n < self._batch and not rest:
                continue
            joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
            left = jax.tree.map(lambda leaf: leaf[self._batch :], joined)
            self._waiting[number] = [left]
            if n <= self._batch:
                del self._waiting[number]
            return number, jax.tree.map(lambda leaf: leaf[: self._batch], joined)
        return None


def blank_state(shapes: Round) -> PyTree:
    """Return a state for the first round, which reads nothing of it, on the device.

    Args:
        shapes: Shapes of a round.
    """
    return jax.device_put(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes.state))


def filled(images: PyTree, batch: int) -> PyTree:
    """Repeat the last image until the batch is full."""
    take = np.minimum(np.arange(batch), _count(images) - 1)
    return jax.tree.map(lambda leaf: leaf[take], images)


def warn_of_missed(where: str, name: str, errors: Sequence[float], n: int, stopping: Stopping) -> None:
    """Warn of images that stay above the tolerance, once per method.

    Args:
        where: Who explains.
        name: Name of the method.
        errors: The errors that they reached.
        n: Number of images in all.
        stopping: What was asked for.
    """
    if errors:
        known = [error for error in errors if error == error]
        reached = f"errors up to {max(known):.2g}, {np.median(known):.2g} in the median" if known else "unknown errors"
        warnings.warn(
            f"{where}: {len(errors):,} of {n:,} images of {name!r} stay above the tolerance {stopping.tolerance:g}, "
            f"with {reached}, after at most {stopping.budget:,} evaluations each; raise budget or tolerance.",
            stacklevel=3,
        )


def _words(arguments: Arguments, program: Program) -> dict[str, Any]:
    """Return context and static knobs; what all images share is taken out of its wrapping."""
    context = {name: value.values if isinstance(value, Shared) else value for name, value in arguments.context.items()}
    return {**context, **dict(program.statics)}


def _count(images: PyTree) -> int:
    return len(jax.tree.leaves(images)[0])
