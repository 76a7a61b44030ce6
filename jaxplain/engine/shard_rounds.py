"""The methods of one shard that go on in rounds: who waits, who is done, and where the maps of those go."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxplain._typing import PyTree
from jaxplain.core.estimate import Round
from jaxplain.core.targets import Target
from jaxplain.engine.job import Job
from jaxplain.engine.lift import id_words
from jaxplain.engine.plan import Plan
from jaxplain.engine.rounds import Queue, filled
from jaxplain.engine.shard import Shard
from jaxplain.engine.step import Step


class Images(NamedTuple):
    """Images of one shard as a later round needs them, each array with the images first.

    Args:
        row: Their rows within the shard.
        image: Pixels.
        id: 64-bit ids.
        label: Labels.
        prediction: Predicted classes.
        target: The resolved target.
        own: What the method is given for each image.
        state: What the last round left.
    """

    row: np.ndarray
    image: np.ndarray
    id: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    target: Target
    own: dict[str, PyTree]
    state: PyTree = None


class ShardRounds:
    """The rounds of one shard.

    Args:
        job: The job.
        plan: Its plan.
        step: Its programs.
        shard: The shard, which takes in what is done.
    """

    def __init__(self, job: Job, plan: Plan, step: Step, shard: Shard):
        self._job, self._plan, self._step, self._shard = job, plan, step, shard
        self._queues = {name: Queue(plan.batch) for name in step.schedules if name in shard.names}
        self._done: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in self._queues}
        self.missed: dict[str, list[float]] = {name: [] for name in self._queues}

    def land(self, name: str, number: int, images: Images, found: Round, good: np.ndarray) -> None:
        """Take in a round of a batch: images within the tolerance are done, others wait while the budget lasts.

        Args:
            name: The method.
            number: The round.
            images: The images, without padding.
            found: What the device made of them.
            good: Which of them can be explained at all.
        """
        schedule = self._step.schedules[name]
        verdict = schedule.judge(number, found, good)
        self._queues[name].put(number + 1, images._replace(state=found.state), verdict.goes_on)
        self.missed[name] += verdict.missed
        done = verdict.done
        if not len(done):
            return
        rows, maps = images.row[done], np.asarray(found.map)[done]
        figures = {figure: np.asarray(values)[done] for figure, values in found.figures.items()}
        settled: Any = {name: (maps, figures)}
        self._shard.put_figures(rows, settled, good[done])
        evaluations = np.where(good[done], schedule.evaluations(number), 0)
        self._shard.put_stopped(name, rows, evaluations, verdict.met[done])
        if self._plan.store == "none":
            self._done[name].append((rows, maps, images.label[done], images.prediction[done], good[done]))
        else:
            self._shard.put_maps(rows, settled, good[done], self._plan.store, self._step.target_axes)

    def ready(self, *, rest: bool) -> Iterator[tuple[str, int, Images, Round]]:
        """Start the batches that are full, or, where nothing else of the shard is under way, the earliest of the rest.

        Args:
            rest: Whether nothing else is.

        Yields:
            The method, the round, its images and what the device makes of them.
        """
        for name, queue in self._queues.items():
            while (taken := queue.take(rest=rest)) is not None:
                number, images = taken
                full = filled(images, self._plan.batch)
                x, words, own, state = self._step.devices.cut((full.image, id_words(full.id), full.own, full.state))
                found = self._step.go_on(name, number, self._step.resolved(full.target), x, words, own, state)
                yield name, number, images, found
                if rest:
                    break

    def finish(self) -> None:
        """Merge the moments of maps that are not kept, in the order of the rows, whoever was done first."""
        for name, parts in self._done.items():
            if not parts:
                continue
            rows, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
            ordered = [column[np.argsort(rows)] for column in columns]
            for start in range(0, len(rows), self._plan.batch):
                maps, labels, predictions, good = (values[start : start + self._plan.batch] for values in ordered)
                found: Any = {name: (maps, {})}
                self._shard.put_partials(found, labels, predictions, ~good, self._job, self._step)
