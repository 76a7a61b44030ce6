"""The run: source -> device -> store, shard by shard, by one worker or many, resumable at any moment."""

import time
from collections.abc import Iterable, Iterator

from jaxplain._errors import InputError
from jaxplain.engine.assignment import Assignment, Claim, Part
from jaxplain.engine.events import Finished, Started, Watcher, unwatched
from jaxplain.engine.job import ROWS, Job, Place
from jaxplain.engine.layout import method_arrays, method_groups, row_fields
from jaxplain.engine.open_run import open_run
from jaxplain.engine.plan import Plan
from jaxplain.engine.rounds import warn_of_missed
from jaxplain.engine.shard import Shard
from jaxplain.engine.stream import STAGE, Stream
from jaxplain.engine.summary import Summary
from jaxplain.engine.usage import calls, operations
from jaxplain.io.sources.base import Source

__all__ = ["STAGE", "Summary", "run"]


def run(
    job: Job,
    source: Source,
    place: Place,
    *,
    replan: bool = False,
    part: Part | None = None,
    watch: Watcher = unwatched,
) -> Summary:
    """Explain the images of a source and write maps, rows and markers.

    A killed run goes on where it was when it is called again; finished shards are not touched.

    Args:
        job: What to do.
        source: The images.
        place: Sink, ledger and manifest of the output.
        replan: Go on although the store was begun on another kind of device.
        part: Which part of the shards, and how; by default all, as the only one who writes here.
        watch: Called with every event.

    Returns:
        What was done; ``complete`` says whether ``finalize`` may follow.

    Raises:
        InputError: The output belongs to another job, the model is not the one it was, too many images are bad.
        OSError: The output cannot be written.
        Stopped: Somebody wished for the end before the first image.
    """
    part = part or Part()
    began = time.perf_counter()
    plan, step = open_run(job, source, place, replan=replan, watch=watch)
    wanted = [ROWS, *(explanation.name for explanation in job.explanations)]
    arrays = row_fields(len(source), source.read([0]).label, step.score_shape, plan.rows_per_shard)
    for specs in method_arrays(step, plan, len(source)).values():
        arrays += specs
    place.sink.create(arrays, method_groups(job, plan, step))
    shards = Shards(job, place, plan, wanted, len(source))
    order = part.worker.order(shards.count, steal=part.steal)
    lacking = shards.unfinished()
    todo = {number: lacking[number] for number in order if number in lacking}
    if todo:
        step.compile(sorted({name for names in todo.values() for name in names}), watch)
    summary = Summary(planning_seconds=time.perf_counter() - began, compiled=step.compiled)
    marked = place.ledger.finished(ROWS).values()
    summary.quarantined_before = sum(int(marker.facts.get("quarantined", 0)) for marker in marked)
    total, left = shards.images(order), shards.images(todo)
    watch(Started(STAGE, total, total - left, {"plan": plan.record(), "methods": wanted[1:]}))
    programs = {name: one.call for name, one in step.compiled.items()}
    before, began = calls(programs), time.perf_counter()
    assignment = Assignment(part, list(todo))
    stream = Stream(job, step, plan, source, place, watch, summary, part.stop)
    try:
        with part.stop.heeded():
            for claims in assignment.passes():
                stream.run(shards.of(claims))
    finally:
        if part.leases is not None:
            part.leases.let_go()
    summary.seconds = time.perf_counter() - began
    summary.operations = operations(programs, before, plan.devices)
    for explanation in job.explanations:
        if explanation.stopping is not None:
            errors = summary.missed.get(explanation.name, [])
            warn_of_missed("run", explanation.name, errors, summary.images, explanation.stopping)
    lacking = shards.unfinished()
    summary.complete = not lacking
    summary.own_complete = lacking.keys().isdisjoint(order)
    summary.held = {number: lease for number, lease in assignment.others.items() if number in lacking}
    summary.stopped = part.stop.asked
    watch(Finished(STAGE, summary.seconds, {"images": summary.images, "images/s": summary.images_per_second}))
    return summary


class Shards:
    """The shards of a run.

    Args:
        job: The job.
        place: Its store.
        plan: Its plan.
        wanted: Names that every shard needs a marker of.
        n: Number of images.
    """

    def __init__(self, job: Job, place: Place, plan: Plan, wanted: list[str], n: int):
        self.job, self.place, self.plan, self.wanted, self.n = job, place, plan, wanted, n
        self.count = -(-n // plan.rows_per_shard)

    def unfinished(self) -> dict[int, list[str]]:
        """Return the shards that lack a marker, with the names they lack.

        Raises:
            InputError: A marker stems from other values of the job.
        """
        explanations = {explanation.name: explanation for explanation in self.job.explanations}
        finished = {name: self.place.ledger.finished(name) for name in self.wanted}
        for name, markers in finished.items():
            want = self.job.hash(explanations.get(name), self.plan)
            for marker in markers.values():
                if marker.hash != want:
                    raise InputError(
                        f"run: shard {marker.shard} of {name!r} in the output was made with other settings; "
                        "choose another output, or give the method another name."
                    )
        lacking = {
            number: [name for name in self.wanted if number not in finished[name]] for number in range(self.count)
        }
        return {number: names for number, names in lacking.items() if names}

    def of(self, claims: Iterable[Claim]) -> Iterator[Shard]:
        """Yield the shards of claims, with what they lack by now: others may have finished them in between."""
        for claim in claims:
            names = self.place.ledger.lacking(self.wanted, claim.number)
            if names:
                yield Shard(claim.number, self._first(claim.number), self.images([claim.number]), names, claim)
            else:
                claim.release()

    def images(self, numbers: Iterable[int]) -> int:
        """Return the number of images of some shards."""
        return sum(min(self._first(number + 1), self.n) - self._first(number) for number in numbers)

    def _first(self, number: int) -> int:
        return number * self.plan.rows_per_shard
