"""One device step of a run: a batch through the clean pass and every method that still needs it.

Methods that evaluate the network once share one program with the clean pass, in which XLA computes a common forward
pass once. Which ones do is fixed in the plan, and their program is run whole even where only some of its results are
missing: so a run that was killed, and a method that is added later, change no bit of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from jaxplain._typing import Array, PyTree
from jaxplain.core.estimate import Round
from jaxplain.core.sampling import DEFAULT_CHUNK
from jaxplain.core.score import Score
from jaxplain.core.targets import Target
from jaxplain.engine.coarse import without_last_step
from jaxplain.engine.compiling import Compiled, compile_ahead
from jaxplain.engine.context import canonical, is_own, of_images, shapes_of_batch
from jaxplain.engine.devices import ONE_DEVICE, Devices
from jaxplain.engine.events import Watcher, unwatched
from jaxplain.engine.job import ROWS, Job
from jaxplain.engine.lift import (
    Arguments,
    Clean,
    Program,
    clean_pass,
    explain_batch,
    id_words,
    image_axes,
    placed,
    prepare,
    select_images,
)
from jaxplain.engine.plan import Plan
from jaxplain.engine.precision import at_precision, tracing_at
from jaxplain.engine.rounds import Schedule, blank_state, prepare_rounds, round_batch
from jaxplain.io.sources.base import Rows

Result = dict[str, tuple[Array, dict[str, Array]]]
Shapes = dict[str, tuple[jax.ShapeDtypeStruct, dict[str, jax.ShapeDtypeStruct]]]
Begun = dict[str, Round]
Own = dict[str, dict[str, PyTree]]
"""By method, the words of its context that differ from image to image, for some images."""
CLEAN = "clean pass"
NUMBER = jax.ShapeDtypeStruct((), np.int32)


@dataclass(frozen=True)
class Step:
    """The compiled programs of a job under a plan.

    Args:
        job: The job.
        shape: Shape of one example.
        batch: Images per step.
        chunk: Samples evaluated together.
        together: Methods that share one program with the clean pass.
        coarse: Whether maps are left at their layer's resolution, to be brought to the examples' size on reading.
        devices: Those that share out a batch.
        compiled: The programs compiled so far, by name.
    """

    job: Job
    shape: tuple[int, ...]
    batch: int
    chunk: int = DEFAULT_CHUNK
    together: tuple[str, ...] = ()
    devices: Devices = ONE_DEVICE
    coarse: bool = False
    compiled: dict[str, Compiled] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, job: Job, shape: tuple[int, ...], plan: Plan) -> "Step":
        """Return the step of a plan."""
        names = [explanation.name for explanation in job.explanations]
        together = tuple(name for name in plan.together if name in names)
        return cls(job, shape, plan.batch, plan.chunk, together, Devices.local(plan.devices), plan.coarse)

    @cached_property
    def score(self) -> Score:
        """The score at the plan's precision; its target's leaves carry all images and stay on the host."""
        target = jax.tree.map(np.asarray, canonical(self.job.target))
        return Score(at_precision(self.job.model, self.job.request.precision, self.devices)[0], target)

    @cached_property
    def axes(self) -> tuple[int | None, ...]:
        """Which leaves of the target carry the images."""
        return image_axes(self.score, self.shape)

    @cached_property
    def score_shape(self) -> tuple[int, ...]:
        """Shape of one image's score: ``()`` or ``(K,)``."""
        return self._clean_shapes.score.shape[1:]

    @property
    def target_axes(self) -> int:
        """1 where the target gives several scores per image, else 0."""
        return len(self.score_shape)

    @cached_property
    def key(self) -> Array:
        """The key of the run."""
        key: Array = self.devices.whole(jax.random.key(self.job.seed))
        return key

    @cached_property
    def programs(self) -> dict[str, tuple[Program, Arguments]]:
        """Program and traced arguments of every method, checked."""
        return {name: (program, arguments) for name, (program, arguments, _) in self._prepared.items()}

    @cached_property
    def schedules(self) -> dict[str, Schedule]:
        """The rounds of every method that goes on until a tolerance is met."""
        return {name: schedule for name, (_, _, schedule) in self._prepared.items() if schedule is not None}

    @cached_property
    def _prepared(self) -> dict[str, tuple[Program, Arguments, Schedule | None]]:
        prepared = {}
        for one in self.job.explanations:
            keywords, schedule = without_last_step(one) if self.coarse else dict(one.keywords), None
            if one.stopping is None:
                program, arguments = prepare(one.method, keywords, x_shape=self.shape, diagnosed=True)
            else:
                program, arguments, schedule = prepare_rounds(one.method, keywords, one.stopping, x_shape=self.shape)
            program = program if "chunk" in keywords else program.with_chunk(self.chunk)
            prepared[one.name] = program, placed(arguments, self.devices), schedule
        return prepared

    @property
    def of_one_evaluation(self) -> tuple[str, ...]:
        """Names of the methods without samples, steps or masks, to which a forward pass is a large part."""
        return tuple(name for name, (program, _) in self.programs.items() if "chunk" not in program.entry.knobs)

    def compile(self, names: Sequence[str], watch: Watcher = unwatched) -> None:
        """Compile what is needed for these names, ``rows`` being that of the clean pass, and was not compiled yet.

        Args:
            names: What will be asked of ``start``.
            watch: Called with events.
        """
        needed = [name for name in self._needed(names) if name not in self.compiled]
        self.compiled.update(compile_ahead({name: partial(self._lower, name) for name in needed}, watch))

    def own(self, numbers: np.ndarray, images: np.ndarray, names: Sequence[str]) -> Own:
        """Return what methods are given for each image of a batch, such as the segments of its pixels.

        Args:
            numbers: Rows of the source.
            images: ``(batch, *in)``.
            names: What will be asked of ``start``.

        Raises:
            InputError: An image cannot be segmented as the job says.
        """
        return {
            name: {
                word: of_images(f"[methods.{name}] {word}", value, numbers, images)
                for word, value in arguments.context.items()
                if is_own(value)
            }
            for name, (_, arguments) in self.programs.items()
            if name in (*names, *self.together)
        }

    def start(
        self, numbers: np.ndarray, images: np.ndarray, ids: np.ndarray, names: Sequence[str], own: Own
    ) -> tuple[Clean, Result, Begun]:
        """Start the clean pass and methods on a batch; nothing here waits for the device.

        Args:
            numbers: Rows of the source.
            images: ``(batch, *in)``.
            ids: Their 64-bit ids.
            names: Methods whose maps are wanted, and ``rows`` for the clean pass, which comes in any case.
            own: What ``own`` returned for these.

        Returns:
            The clean pass, maps and figures, and the first round of the methods that go on.
        """
        self.compile(names)
        first, *others = self._needed(names)
        chosen = select_images(self.score, self.axes, numbers)
        score = Score(chosen.model, *self.devices.cut((chosen.target, chosen.extras)))
        x, words, own = self.devices.cut((images, id_words(ids), own))
        results: Result = {}
        begun: Begun = {}
        if first == CLEAN:
            clean: Clean = self.compiled[CLEAN].call(score, x)
        else:
            clean, results = self.compiled[first].call(score, x, words, self.key, self._arguments(own))
        resolved = self.resolved(clean.target)
        for name in others:
            if name in self.schedules:
                begun[name] = self.go_on(name, 0, resolved, x, words, own[name], self._blank_states[name])
            else:
                results[name] = self.compiled[name].call(resolved, x, words, self.key, self._given(name, own[name]))
        return clean, {name: found for name, found in results.items() if name in names}, begun

    def resolved(self, target: Target) -> Score:
        """Return the score of a batch by its resolved target, on the devices."""
        return Score(self.score.model, self.devices.cut(target), self.score.extras)

    def go_on(
        self, name: str, number: int, score: Score, x: Array, words: Array, own: Mapping[str, PyTree], state: PyTree
    ) -> Round:
        """Start a round of a method on a batch.

        Args:
            name: The method.
            number: The round, from 0 on.
            score: Resolved score of the batch.
            x: ``(batch, *in)``, on the devices as everything that belongs to images.
            words: Their ids as words.
            own: What the method is given for each of them.
            state: What the last round left.
        """
        first, stop = self.schedules[name].span(number)
        arguments = self._given(name, own)
        found: Round = self.compiled[name].call(score, x, words, self.key, arguments, state, first, stop)
        return found

    @cached_property
    def shapes(self) -> Shapes:
        """Return, per method, the shape of a batch of maps and of its figures, without running anything."""
        with self._precision:
            plain = {
                name: explain_batch.eval_shape(
                    *self._method_shapes, self._blank(name), program=program, devices=self.devices
                )
                for name, (program, _) in self.programs.items()
                if name not in self.schedules
            }
        rounds = {name: (shapes.map, shapes.figures) for name, shapes in self._round_shapes.items()}
        return {name: {**plain, **rounds}[name] for name in self.programs}

    @cached_property
    def _round_shapes(self) -> dict[str, Round]:
        with self._precision:
            found = {}
            for name in self.schedules:
                given = *self._method_shapes, self._blank(name), None, NUMBER, NUMBER
                found[name] = round_batch.eval_shape(*given, program=self.programs[name][0], devices=self.devices)
            return found

    @cached_property
    def _blank_states(self) -> dict[str, PyTree]:
        """States before the first round, which reads nothing of them."""
        return {name: self.devices.cut(blank_state(shapes)) for name, shapes in self._round_shapes.items()}

    def _needed(self, names: Sequence[str]) -> list[str]:
        """Return the names of the programs that give these results, that with the clean pass first."""
        shared = self.together if any(name in names for name in (ROWS, *self.together)) else ()
        return [", ".join((CLEAN, *shared)), *(name for name in self.programs if name in names and name not in shared)]

    def _lower(self, name: str) -> Any:
        with self._precision:
            devices = self.devices
            if name == CLEAN:
                return clean_pass.lower(self._score_shapes, self._image_shapes, devices=devices)
            if name in self.programs:
                program, given = self.programs[name][0], (*self._method_shapes, self._blank(name))
                if name in self.schedules:
                    state = devices.cut_shapes(self._round_shapes[name].state)
                    return round_batch.lower(*given, state, NUMBER, NUMBER, program=program, devices=devices)
                return explain_batch.lower(*given, program=program, devices=devices)
            programs = tuple((name, self.programs[name][0]) for name in self.together)
            together = {name: self._blank(name) for name in self.together}
            given = self._score_shapes, *self._method_shapes[1:], together
            return _explain_together.lower(*given, programs=programs, devices=devices)

    def _arguments(self, own: Own) -> dict[str, Arguments]:
        return {name: self._given(name, own[name]) for name in self.together}

    def _given(self, name: str, own: Mapping[str, PyTree]) -> Arguments:
        """Return a method's arguments for a batch."""
        arguments = self.programs[name][1]
        return arguments._replace(context={**arguments.context, **own})

    def _blank(self, name: str) -> Arguments:
        """Return a method's arguments as its program is compiled for them."""
        context = self.programs[name][1].context
        own = {word: shapes_of_batch(value, self.batch, self.shape) for word, value in context.items() if is_own(value)}
        return self._given(name, self.devices.cut_shapes(own))

    @property
    def _precision(self) -> Any:
        return tracing_at(self.job.request.precision)

    @cached_property
    def _score_shapes(self) -> Score:
        chosen = select_images(self.score, self.axes, np.zeros(self.batch, int))
        return Score(chosen.model, *self.devices.cut_shapes((chosen.target, chosen.extras)))

    @property
    def _image_shapes(self) -> Any:
        return self.devices.cut_shapes(jax.ShapeDtypeStruct((self.batch, *self.shape), np.float32))

    @cached_property
    def _clean_shapes(self) -> Clean:
        with self._precision:
            return clean_pass.eval_shape(self._score_shapes, self._image_shapes, devices=self.devices)

    @cached_property
    def _method_shapes(self) -> tuple[Any, ...]:
        """The first arguments of every method's program."""
        score = Score(self.score.model, self.devices.cut_shapes(self._clean_shapes.target), self.score.extras)
        words = self.devices.cut_shapes(jax.ShapeDtypeStruct((self.batch, 2), np.uint32))
        return score, self._image_shapes, words, self.key


@partial(jax.jit, static_argnames=("programs", "devices"))
def _explain_together(
    score: Score,
    x: Array,
    words: Array,
    key: Array,
    arguments: Mapping[str, Arguments],
    *,
    programs: tuple[tuple[str, Program], ...],
    devices: Devices,
) -> tuple[Clean, Result]:
    """Run the clean pass and methods in one program; what they have in common is computed once."""

    def on_device(shared: PyTree, own: PyTree) -> tuple[Clean, Result]:
        (model, key, arguments), (target, extras, x, words) = shared, own
        clean = clean_pass(Score(model, target, extras), x)
        resolved = Score(model, clean.target, extras)
        return clean, {
            name: explain_batch(resolved, x, words, key, arguments[name], program=program) for name, program in programs
        }

    return devices.share_out(on_device, (score.model, key, arguments), (score.target, score.extras, x, words))


def padded(rows: Rows, batch: int) -> Rows:
    """Repeat the last row until the batch is full, so that a ragged last batch compiles nothing."""
    take = np.minimum(np.arange(batch), len(rows.id) - 1)
    return rows if len(rows.id) == batch else Rows(rows.image[take], rows.label[take], rows.id[take], rows.status[take])


def target_index(clean: Clean) -> np.ndarray:
    """Return the class that each image's target reads, or -1 where the target is no single class."""
    index: Any = getattr(clean.target, "index", None)
    single = index is not None and np.ndim(index) == 1
    return np.asarray(index, np.int32) if single else np.full(len(clean.prediction), -1, np.int32)
