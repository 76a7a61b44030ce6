"""One device step of a run: a batch through the clean pass and every method that still needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from jaxplain._typing import Array
from jaxplain.core.sampling import DEFAULT_CHUNK
from jaxplain.core.score import Score
from jaxplain.engine.job import Job
from jaxplain.engine.lift import (
    Arguments,
    Clean,
    Program,
    clean_pass,
    explain_batch,
    id_words,
    image_axes,
    prepare,
    select_images,
)
from jaxplain.engine.plan import Plan
from jaxplain.engine.precision import at_precision
from jaxplain.io.sources.base import Rows

Result = dict[str, tuple[Array, dict[str, Array]]]


@dataclass(frozen=True)
class Step:
    """The compiled programs of a job under a plan.

    Args:
        job: The job.
        shape: Shape of one example.
        batch: Images per step.
        chunk: Samples evaluated together.
    """

    job: Job
    shape: tuple[int, ...]
    batch: int
    chunk: int = DEFAULT_CHUNK

    @classmethod
    def of(cls, job: Job, shape: tuple[int, ...], plan: Plan) -> "Step":
        """Return the step of a plan."""
        return cls(job, shape, plan.batch, plan.chunk)

    @cached_property
    def score(self) -> Score:
        """The score at the plan's precision, its leaves carrying all images."""
        return Score(at_precision(self.job.model, self.job.request.precision)[0], self.job.target)

    @cached_property
    def axes(self) -> tuple[int | None, ...]:
        """Which leaves of the target carry the images."""
        return image_axes(self.score, self.shape)

    @cached_property
    def score_shape(self) -> tuple[int, ...]:
        """Shape of one image's score: ``()`` or ``(K,)``."""
        score = select_images(self.score, self.axes, np.zeros(1, int))
        return jax.eval_shape(clean_pass, score, np.zeros((1, *self.shape), np.float32)).score.shape[1:]

    @property
    def target_axes(self) -> int:
        """1 where the target gives several scores per image, else 0."""
        return len(self.score_shape)

    @cached_property
    def key(self) -> Array:
        """The key of the run."""
        return jax.random.key(self.job.seed)

    @cached_property
    def programs(self) -> dict[str, tuple[Program, Arguments]]:
        """Program and traced arguments of every method, checked."""
        prepared = {}
        for explanation in self.job.explanations:
            keywords = dict(explanation.keywords)
            program, arguments = prepare(explanation.method, keywords, x_shape=self.shape, diagnosed=True)
            prepared[explanation.name] = (program if "chunk" in keywords else program.with_chunk(self.chunk), arguments)
        return prepared

    def clean(self, rows: np.ndarray, images: np.ndarray) -> tuple[Score, Clean]:
        """Start the clean pass; the score that comes back has its target resolved, image by image."""
        with at_precision(self.job.model, self.job.request.precision)[1]:
            score = select_images(self.score, self.axes, rows)
            clean = clean_pass(score, images)
        return Score(score.model, clean.target, score.extras), clean

    def explain(self, score: Score, images: np.ndarray, ids: np.ndarray, names: Sequence[str]) -> Result:
        """Start the methods with these names on a batch."""
        words = id_words(ids)
        with at_precision(self.job.model, self.job.request.precision)[1]:
            return {
                name: explain_batch(score, images, words, self.key, arguments, program=program)
                for name, (program, arguments) in self.programs.items()
                if name in names
            }

    @cached_property
    def shapes(self) -> dict[str, tuple[jax.ShapeDtypeStruct, dict[str, jax.ShapeDtypeStruct]]]:
        """Return, per method, the shape of a batch of maps and of its figures, without running anything."""
        images = np.zeros((self.batch, *self.shape), np.float32)
        score = select_images(self.score, self.axes, np.zeros(self.batch, int))
        target = jax.eval_shape(clean_pass, score, images).target
        resolved, key = Score(score.model, target, score.extras), self.key
        return {
            name: jax.eval_shape(
                lambda score, arguments, program=program: explain_batch(
                    score, images, id_words(np.zeros(self.batch)), key, arguments, program=program
                ),
                resolved,
                arguments,
            )
            for name, (program, arguments) in self.programs.items()
        }


def padded(rows: Rows, batch: int) -> Rows:
    """Repeat the last row until the batch is full, so that a ragged last batch compiles nothing."""
    take = np.minimum(np.arange(batch), len(rows.id) - 1)
    return rows if len(rows.id) == batch else Rows(rows.image[take], rows.label[take], rows.id[take], rows.status[take])


def target_index(clean: Clean) -> np.ndarray:
    """Return the class that each image's target reads, or -1 where the target is no single class."""
    index: Any = getattr(clean.target, "index", None)
    single = index is not None and np.ndim(index) == 1
    return np.asarray(index, np.int32) if single else np.full(len(clean.prediction), -1, np.int32)
