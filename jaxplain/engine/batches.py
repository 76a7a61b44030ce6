"""Batches of arrays in memory: some rows of images, targets, ids and of what a method is given per image."""

from dataclasses import dataclass

import jax
import numpy as np

from jaxplain._typing import Array
from jaxplain.core.score import Score
from jaxplain.core.targets import Predicted
from jaxplain.engine.context import of_images
from jaxplain.engine.lift import Arguments, clean_pass, select_images


@dataclass(frozen=True)
class Batches:
    """Arrays to take batches from.

    Args:
        score: The score; its leaves carry all images, or are shared by them.
        axes: Which do, from ``image_axes``.
        images: ``(N, *in)``.
        words: Their ids as words ``(N, 2)``.
        arguments: Traced arguments of the method.
        size: Images per batch.
    """

    score: Score
    axes: tuple[int | None, ...]
    images: np.ndarray | Array
    words: np.ndarray
    arguments: Arguments
    size: int

    def of(self, rows: np.ndarray) -> tuple[Score, Array, np.ndarray, Arguments]:
        """Return resolved score, examples, ids and arguments of a batch.

        Args:
            rows: Numbers of the images; missing ones, and those beyond the last image, repeat the last.
        """
        rows = np.minimum(rows[np.minimum(np.arange(self.size), len(rows) - 1)], len(self.images) - 1)
        score, x = select_images(self.score, self.axes, rows), jax.device_put(self.images[rows])
        context = {name: of_images(name, value, rows, x) for name, value in self.arguments.context.items()}
        if isinstance(self.score.target, Predicted):
            score = Score(score.model, clean_pass(score, x).target, score.extras)
        return score, x, self.words[rows], self.arguments._replace(context=context)
