"""Arrays in memory explained in rounds, until the error of every map meets a tolerance."""

from typing import NamedTuple

import numpy as np

from jaxplain._typing import Array, PyTree
from jaxplain.engine.batches import Batches
from jaxplain.engine.lift import Program
from jaxplain.engine.rounds import Queue, Schedule, blank_state, filled, round_batch, warn_of_missed


class Waiting(NamedTuple):
    """Images that go on: their rows, and what the last round left."""

    row: np.ndarray
    state: PyTree


def explain_in_rounds(
    method: str, batches: Batches, key: Array | None, program: Program, schedule: Schedule
) -> np.ndarray:
    """Return the maps of all images.

    Args:
        method: Its name, for the warning.
        batches: The images.
        key: The run's key, or None.
        program: The method's program.
        schedule: Its rounds.
    """
    n, queue, missed, devices = len(batches.images), Queue(batches.size), list[float](), batches.devices
    score, x, words, arguments = batches.of(np.arange(batches.size))
    given = score, x, words, key, arguments, None, *schedule.span(0)
    shapes = round_batch.eval_shape(*given, program=program, devices=devices)
    maps, blank = np.empty((n, *shapes.map.shape[1:]), shapes.map.dtype), devices.cut(blank_state(shapes))

    def take_round(number: int, rows: np.ndarray, state: PyTree) -> None:
        score, x, words, arguments = batches.of(rows)
        span = schedule.span(number)
        found = round_batch(score, x, words, key, arguments, state, *span, program=program, devices=devices)
        verdict = schedule.judge(number, found, np.ones(len(rows), bool))
        queue.put(number + 1, Waiting(rows, found.state), verdict.goes_on)
        maps[rows[verdict.done]] = np.asarray(found.map)[verdict.done]
        missed.extend(verdict.missed)

    def go_on(*, rest: bool) -> None:
        while (taken := queue.take(rest=rest)) is not None:
            number, waiting = taken
            take_round(number, waiting.row, devices.cut(filled(waiting.state, batches.size)))

    for start in range(0, n, batches.size):
        take_round(0, np.arange(start, min(start + batches.size, n)), blank)
        go_on(rest=False)
    go_on(rest=True)
    warn_of_missed("explain", method, missed, n, schedule.stopping)
    return maps
