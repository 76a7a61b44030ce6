"""The run: source -> device -> store, shard by shard, resumable at any moment.

Reading, the device and writing overlap: a reader thread keeps a few batches ahead, the device works on one batch while
the one before is copied out, and a writer thread makes a whole shard durable and marks it. What bounds memory is the
look-ahead, two batches in flight and three shards.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from jaxplain._errors import InputError
from jaxplain.engine.ahead import read_ahead
from jaxplain.engine.compiling import Compiled
from jaxplain.engine.events import Advanced, Finished, Noted, Started, Watcher, unwatched
from jaxplain.engine.job import ROWS, Job, Place
from jaxplain.engine.layout import method_arrays, method_groups, row_fields
from jaxplain.engine.lift import Clean
from jaxplain.engine.open_run import open_run
from jaxplain.engine.plan import Plan
from jaxplain.engine.rounds import warn_of_missed
from jaxplain.engine.shard import Shard
from jaxplain.engine.shard_rounds import Images, ShardRounds
from jaxplain.engine.step import Begun, Own, Result, Step, padded
from jaxplain.io.sources.base import Rows, Source
from jaxplain.io.status import OK, REASONS

LOOK_AHEAD = 3
SHARDS_IN_MEMORY = 3
STAGE = "explain"


@dataclass
class Summary:
    """What a run did.

    Args:
        images: Images explained in this process.
        seconds: Time from the first to the last batch, compilation and planning apart.
        planning_seconds: Time of planning and compilation.
        compiled: The programs of this run, with the seconds of tracing and compiling.
        waiting: Seconds that the device step waited for input.
        quarantined: Status code of every quarantined row seen in this process.
        quarantined_before: How many finished shards hold, from earlier runs.
        missed: By method, the errors of the images of this process that the budget left above the tolerance.
        failed: Shards that could not be read, with the reason.
        complete: Whether every shard of every method is finished.
    """

    images: int = 0
    seconds: float = 0.0
    planning_seconds: float = 0.0
    compiled: dict[str, Compiled] = field(default_factory=dict)
    waiting: float = 0.0
    quarantined: dict[int, int] = field(default_factory=dict)
    quarantined_before: int = 0
    missed: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    complete: bool = False

    @property
    def images_per_second(self) -> float:
        """Images explained per second."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class _Piece:
    """One batch of one shard."""

    shard: Shard
    offset: int
    numbers: np.ndarray
    last: bool


def run(job: Job, source: Source, place: Place, *, replan: bool = False, watch: Watcher = unwatched) -> Summary:
    """Explain every image of a source and write maps, rows and markers.

    A killed run goes on where it was when it is called again; finished shards are not touched.

    Args:
        job: What to do.
        source: The images.
        place: Sink, ledger and manifest of the output.
        replan: Go on although the store was begun on another kind of device.
        watch: Called with every event.

    Returns:
        What was done; ``complete`` says whether ``finalize`` may follow.

    Raises:
        InputError: The output belongs to another job, the model is not the one it was, too many images are bad.
        OSError: The output cannot be written.
    """
    began = time.perf_counter()
    plan, step = open_run(job, source, place, replan=replan, watch=watch)
    wanted = [ROWS, *(explanation.name for explanation in job.explanations)]
    arrays = row_fields(len(source), source.read([0]).label, step.score_shape, plan.rows_per_shard)
    for specs in method_arrays(step, plan, len(source)).values():
        arrays += specs
    place.sink.create(arrays, method_groups(job, plan, step))
    todo = list(_unfinished(job, place, plan, wanted, len(source)))
    if todo:
        step.compile(sorted({name for shard in todo for name in shard.names}), watch)
    summary = Summary(planning_seconds=time.perf_counter() - began, compiled=step.compiled)
    marked = place.ledger.finished(ROWS).values()
    summary.quarantined_before = sum(int(marker.facts.get("quarantined", 0)) for marker in marked)
    images = sum(shard.rows for shard in todo)
    watch(Started(STAGE, len(source), len(source) - images, {"plan": plan.record(), "methods": wanted[1:]}))
    began = time.perf_counter()
    _stream(_Stream(job, step, plan, source, place, watch, summary), todo)
    summary.seconds = time.perf_counter() - began
    for explanation in job.explanations:
        if explanation.stopping is not None:
            errors = summary.missed.get(explanation.name, [])
            warn_of_missed("run", explanation.name, errors, summary.images, explanation.stopping)
    summary.complete = not any(True for _ in _unfinished(job, place, plan, wanted, len(source)))
    watch(Finished(STAGE, summary.seconds, {"images": summary.images, "images/s": summary.images_per_second}))
    return summary


@dataclass
class _Stream:
    job: Job
    step: Step
    plan: Plan
    source: Source
    place: Place
    watch: Watcher
    summary: Summary


@dataclass
class _UnderWay:
    """A shard that is worked on: whether all of it was read, and how many of its batches are on the device."""

    shard: Shard
    rounds: ShardRounds
    flights: int = 0
    read: bool = False

    @classmethod
    def of(cls, stream: _Stream, shard: Shard) -> "_UnderWay":
        return cls(shard, ShardRounds(stream.job, stream.plan, stream.step, shard))


@dataclass(frozen=True)
class _Flight:
    """A batch on the device, and what is done when it is back."""

    of: _UnderWay
    land: Callable[[], None]


def _stream(stream: _Stream, todo: list[Shard]) -> None:
    room = threading.Semaphore(SHARDS_IN_MEMORY - 1)
    writing: list[Future[float]] = []
    flying: deque[_Flight] = deque()
    under_way: dict[int, _UnderWay] = {}

    with ThreadPoolExecutor(1, "jaxplain-write") as writer:

        def start(flight: _Flight) -> None:
            flight.of.flights += 1
            flying.append(flight)

        def land() -> None:
            flight = flying.popleft()
            flight.of.flights -= 1
            flight.land()
            go_on(flight.of)

        def go_on(of: _UnderWay) -> None:
            """Start what waits in a shard, or write it where nothing does."""
            rest = of.read and not of.flights
            for name, number, images, found in of.rounds.ready(rest=rest):
                good = np.ones(len(images.row), bool)
                start(_Flight(of, partial(of.rounds.land, name, number, images, found, good)))
            if of.read and not of.flights:
                write(of)

        def write(of: _UnderWay) -> None:
            del under_way[of.shard.number]
            of.rounds.finish()
            for name, errors in of.rounds.missed.items():
                stream.summary.missed.setdefault(name, []).extend(errors)
            room.acquire()
            writing.append(writer.submit(_write, stream, of.shard, room))
            for future in [future for future in writing if future.done()]:
                writing.remove(future)
                future.result()

        reading = read_ahead(partial(_read, stream.source), _pieces(todo, stream.plan.batch), LOOK_AHEAD)
        while True:
            waited = time.perf_counter()
            piece, rows = next(reading, (None, None))
            stream.summary.waiting += time.perf_counter() - waited
            if piece is None or rows is None:
                break
            if isinstance(rows, OSError):
                _fail(stream, piece.shard, rows)
            if piece.shard.number in stream.summary.failed or isinstance(rows, OSError):
                continue
            if piece.shard.number not in under_way:
                under_way[piece.shard.number] = _UnderWay.of(stream, piece.shard)
            of = under_way[piece.shard.number]
            full = padded(rows, stream.plan.batch)
            numbers = np.minimum(piece.numbers[0] + np.arange(stream.plan.batch), piece.numbers[-1])
            own = stream.step.own(numbers, full.image, piece.shard.names)
            started = stream.step.start(numbers, full.image, full.id, piece.shard.names, own)
            start(_Flight(of, partial(_collect, stream, of, piece, rows, own, *started)))
            while len(flying) > 1:
                land()
        while flying:
            land()
        for future in writing:
            future.result()


def _collect(
    stream: _Stream, of: _UnderWay, piece: _Piece, rows: Rows, own: Own, clean: Clean, results: Result, begun: Begun
) -> None:
    kept = len(piece.numbers)
    where = slice(piece.offset, piece.offset + kept)
    status = piece.shard.put_rows(piece.offset, rows, clean, kept)
    good = status == OK
    piece.shard.put_figures(where, results, good)
    if stream.plan.store == "none":
        predictions = np.asarray(clean.prediction)[:kept]
        piece.shard.put_partials(results, rows.label[:kept], predictions, status, stream.job, stream.step)
    else:
        piece.shard.put_maps(where, results, good, stream.plan.store, stream.step.target_axes)
    for name, found in begun.items():
        prediction = np.asarray(clean.prediction)[:kept]
        row = piece.offset + np.arange(kept)
        images = Images(row, rows.image, rows.id, rows.label, prediction, clean.target, own[name])
        of.rounds.land(name, 0, images, found, good)
    of.read = of.read or piece.last
    stream.summary.images += kept
    for number, code in zip(piece.numbers, status, strict=True):
        if code != OK:
            stream.summary.quarantined[int(number)] = int(code)
            reason = stream.source.reasons.get(int(number), REASONS[int(code)])
            names = stream.source.names
            stream.watch(Noted(STAGE, f"image {names[number] if names is not None else number}: {reason}"))
    limit = stream.job.max_bad
    n_bad = len(stream.summary.quarantined) + stream.summary.quarantined_before
    if limit is not None and n_bad > limit:
        raise InputError(
            f"run: {n_bad} images could not be used, more than max_bad = {limit}; mend the source, or raise max_bad."
        )
    stream.watch(Advanced(STAGE, kept, f"shard {piece.shard.number}"))


def _write(stream: _Stream, shard: Shard, room: threading.Semaphore) -> float:
    try:
        return shard.write(stream.place, stream.job, stream.plan)
    finally:
        shard.arrays.clear()
        shard.partials.clear()
        room.release()


def _read(source: Source, piece: _Piece) -> Rows | OSError:
    try:
        return source.read(piece.numbers)
    except OSError as error:
        return error


def _fail(stream: _Stream, shard: Shard, error: OSError) -> None:
    """Give up a shard that the file system failed; the next run does it again."""
    if shard.number not in stream.summary.failed:
        stream.summary.failed[shard.number] = str(error)
        stream.watch(Noted(STAGE, f"shard {shard.number} failed and is left for the next run: {error}"))


def _pieces(todo: list[Shard], batch: int) -> Iterator[_Piece]:
    for shard in todo:
        for offset in range(0, shard.rows, batch):
            numbers = shard.first_row + np.arange(offset, min(offset + batch, shard.rows))
            yield _Piece(shard, offset, numbers, last=offset + batch >= shard.rows)


def _unfinished(job: Job, place: Place, plan: Plan, wanted: list[str], n: int) -> Iterator[Shard]:
    """Yield the shards that lack a marker, with the names they lack.

    Raises:
        InputError: A marker stems from other values of the job.
    """
    explanations = {explanation.name: explanation for explanation in job.explanations}
    finished = {name: place.ledger.finished(name) for name in wanted}
    for name, markers in finished.items():
        want = job.hash(explanations.get(name), plan)
        for marker in markers.values():
            if marker.hash != want:
                raise InputError(
                    f"run: shard {marker.shard} of {name!r} in the output was made with other settings; "
                    "choose another output, or give the method another name."
                )
    for number in range(-(-n // plan.rows_per_shard)):
        names = [name for name in wanted if number not in finished[name]]
        first = number * plan.rows_per_shard
        if names:
            yield Shard(number, first, min(plan.rows_per_shard, n - first), names)
