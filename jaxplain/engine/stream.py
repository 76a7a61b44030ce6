"""The stream of a run: shards through reader, device and writer, which overlap.

A reader thread keeps a few batches ahead, the device works on one batch while the one before is copied out, and writer
threads make whole shards durable and mark them. What bounds memory is the look-ahead, two batches in flight and
three shards. The main thread never waits for the device inside a call: it looks again and again whether a batch is
back, and whether somebody wishes for the end.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.engine.ahead import read_ahead
from jaxplain.engine.device import until_ready
from jaxplain.engine.events import Advanced, Noted, Watcher
from jaxplain.engine.job import Job, Place
from jaxplain.engine.lift import Clean
from jaxplain.engine.plan import Plan
from jaxplain.engine.shard import Shard
from jaxplain.engine.shard_rounds import Images, ShardRounds
from jaxplain.engine.step import Begun, Own, Result, Step, padded
from jaxplain.engine.stop import Pace, Stop
from jaxplain.engine.summary import Summary
from jaxplain.io.sources.base import Rows, Source
from jaxplain.io.status import OK, REASONS

LOOK_AHEAD = 3
"""Batches read in advance; with those in use and in flight, at most `LOOK_AHEAD` + 3 are in memory."""
READERS = 2
"""Batches read at once, so that decoding threads which have done their part of one begin with the next."""
SHARDS_IN_MEMORY = 3
WRITERS = 2
"""Shards written at once: one is hashed while the other is encoded."""
STAGE = "explain"


@dataclass(frozen=True)
class Piece:
    """One batch of one shard."""

    shard: Shard
    offset: int
    numbers: np.ndarray
    last: bool


@dataclass
class UnderWay:
    """A shard that is worked on: how much of it is done, whether all of it was read, how many batches are out."""

    shard: Shard
    rounds: ShardRounds
    done: int = 0
    flights: int = 0
    read: bool = False


@dataclass(frozen=True)
class Flight:
    """A batch on the device, and what is done when it is back."""

    of: UnderWay
    results: Any
    land: Callable[[], None]


class Stream:
    """Shards through reader, device and writer.

    Args:
        job: The job.
        step: Its programs.
        plan: Its plan.
        source: The images.
        place: Where results go.
        watch: Called with events.
        summary: Takes in what was done.
        stop: A wish to end soon.
    """

    def __init__(
        self, job: Job, step: Step, plan: Plan, source: Source, place: Place, watch: Watcher, summary: Summary,
        stop: Stop,
    ):  # fmt: skip
        self.job, self.step, self.plan, self.source, self.place = job, step, plan, source, place
        self.watch, self.summary, self.stop = watch, summary, stop
        self._waits = summary.waits
        self._under_way: dict[int, UnderWay] = {}
        self._flying: deque[Flight] = deque()
        self._writing: list[Future[float]] = []
        self._room = threading.Semaphore(SHARDS_IN_MEMORY - 1)
        self._slowest_write = 0.0

    def run(self, shards: Iterable[Shard]) -> None:
        """Work on shards, to the end or until somebody wishes for it.

        Args:
            shards: Taken one after the other, a few batches before they are worked on.

        Raises:
            InputError: Too many images are bad.
            OSError: The output cannot be written.
        """
        self._pace = Pace()
        with ThreadPoolExecutor(WRITERS, "jaxplain-write") as self._writer:
            reading = read_ahead(partial(_read, self.source), _pieces(shards, self.plan.batch), LOOK_AHEAD, READERS)
            while True:
                with self._waits.on("input"):
                    piece, rows = next(reading, (None, None))
                if piece is None or rows is None or self._over():
                    break
                self._begin(piece, rows)
                while len(self._flying) > 1:
                    self._land()
            while self._flying:
                self._land()
            with self._waits.on("output"):
                for future in self._writing:
                    future.result()
            self._writing.clear()

    def _begin(self, piece: Piece, rows: Rows | OSError) -> None:
        """Start a batch on the device."""
        number = piece.shard.number
        if isinstance(rows, OSError):
            self._fail(piece.shard, rows)
        if number in self.summary.failed or isinstance(rows, OSError):
            return
        if number not in self._under_way:
            if self.stop.asked:
                return
            rounds = ShardRounds(self.job, self.plan, self.step, piece.shard)
            self._under_way[number] = UnderWay(piece.shard, rounds)
        of = self._under_way[number]
        full = padded(rows, self.plan.batch)
        numbers = np.minimum(piece.numbers[0] + np.arange(self.plan.batch), piece.numbers[-1])
        own = self.step.own(numbers, full.image, piece.shard.names)
        started = self.step.start(numbers, full.image, full.id, piece.shard.names, own)
        self._fly(Flight(of, started, partial(self._collect, of, piece, rows, own, *started)))

    def _fly(self, flight: Flight) -> None:
        flight.of.flights += 1
        self._flying.append(flight)

    def _land(self) -> None:
        """Take in the earliest batch; start what waits in its shard, or write it where nothing does."""
        flight = self._flying.popleft()
        of = flight.of
        of.flights -= 1
        with self._waits.on("device"):
            until_ready(flight.results, enough=lambda: self._over() or self._dropped(of))
        if self._dropped(of):
            return
        flight.land()
        for name, number, images, found in of.rounds.ready(rest=of.read and not of.flights):
            good = np.ones(len(images.row), bool)
            self._fly(Flight(of, found, partial(of.rounds.land, name, number, images, found, good)))
        if of.read and not of.flights:
            self._submit(of)

    def _submit(self, of: UnderWay) -> None:
        del self._under_way[of.shard.number]
        of.rounds.finish()
        for name, errors in of.rounds.missed.items():
            self.summary.missed.setdefault(name, []).extend(errors)
        with self._waits.on("output"):
            self._room.acquire()
        self._writing.append(self._writer.submit(self._write, of.shard))
        for future in [future for future in self._writing if future.done()]:
            self._writing.remove(future)
            future.result()

    def _write(self, shard: Shard) -> float:
        began = time.perf_counter()
        try:
            return shard.write(self.place, self.job, self.plan)
        finally:
            shard.arrays.clear()
            shard.partials.clear()
            self._slowest_write = max(self._slowest_write, time.perf_counter() - began)
            self._room.release()

    def _over(self) -> bool:
        """Tell whether the stream ends before its shards do; drop the shards that the time left is too short for."""
        if not self.stop.asked:
            return False
        needed = self._slowest_write
        for number, of in list(self._under_way.items()):
            needed += self._pace.seconds(of.shard.rows - of.done)
            if needed > self.stop.left:
                del self._under_way[number]
        return not self._under_way

    def _dropped(self, of: UnderWay) -> bool:
        return self._under_way.get(of.shard.number) is not of

    def _fail(self, shard: Shard, error: OSError) -> None:
        """Give up a shard that the file system failed; the next run does it again."""
        if shard.number not in self.summary.failed:
            self.summary.failed[shard.number] = str(error)
            self.watch(Noted(STAGE, f"shard {shard.number} failed and is left for the next run: {error}"))
            self._under_way.pop(shard.number, None)
            shard.claim.release()

    def _collect(
        self, of: UnderWay, piece: Piece, rows: Rows, own: Own, clean: Clean, results: Result, begun: Begun
    ) -> None:
        """Take in the clean pass, maps and first rounds of a batch."""
        kept = len(piece.numbers)
        where = slice(piece.offset, piece.offset + kept)
        status = piece.shard.put_rows(piece.offset, rows, clean, kept)
        good = status == OK
        piece.shard.put_figures(where, results, good)
        if self.plan.store == "none":
            predictions = np.asarray(clean.prediction)[:kept]
            piece.shard.put_partials(results, rows.label[:kept], predictions, status, self.job, self.step)
        else:
            piece.shard.put_maps(where, results, good, self.plan.store, self.step.target_axes)
        for name, found in begun.items():
            prediction = np.asarray(clean.prediction)[:kept]
            row = piece.offset + np.arange(kept)
            images = Images(row, rows.image, rows.id, rows.label, prediction, clean.target, own[name])
            of.rounds.land(name, 0, images, found, good)
        of.read = of.read or piece.last
        of.done += kept
        self._pace.advance(kept)
        self.summary.images += kept
        self._note_quarantined(piece, status)
        self.watch(Advanced(STAGE, kept, f"shard {piece.shard.number}", self._waits.record()))

    def _note_quarantined(self, piece: Piece, status: np.ndarray) -> None:
        names, summary = self.source.names, self.summary
        for number, code in zip(piece.numbers, status, strict=True):
            if code != OK:
                summary.quarantined[int(number)] = int(code)
                reason = self.source.reasons.get(int(number), REASONS[int(code)])
                self.watch(Noted(STAGE, f"image {names[number] if names is not None else number}: {reason}"))
        limit, n_bad = self.job.max_bad, len(summary.quarantined) + summary.quarantined_before
        if limit is not None and n_bad > limit:
            raise InputError(
                f"run: {n_bad} images could not be used, more than max_bad = {limit}; mend the source, or raise "
                "max_bad."
            )


def _read(source: Source, piece: Piece) -> Rows | OSError:
    try:
        return source.read(piece.numbers)
    except OSError as error:
        return error


def _pieces(shards: Iterable[Shard], batch: int) -> Iterator[Piece]:
    for shard in shards:
        for offset in range(0, shard.rows, batch):
            numbers = shard.first_row + np.arange(offset, min(offset + batch, shard.rows))
            yield Piece(shard, offset, numbers, last=offset + batch >= shard.rows)
