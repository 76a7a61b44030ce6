"""Batches of arrays in memory: some rows of images, targets, ids and of what a method is given per image."""

from dataclasses import dataclass

import numpy as np

from jaxplain._typing import Array
from jaxplain.core.score import Score
from jaxplain.core.targets import Predicted
from jaxplain.engine.context import is_own, of_images
from jaxplain.engine.devices import ONE_DEVICE, Devices
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
        devices: Those that share out a batch.
    """

    score: Score
    axes: tuple[int | None, ...]
    images: np.ndarray | Array
    words: np.ndarray
    arguments: Arguments
    size: int
    devices: Devices = ONE_DEVICE

    def of(self, rows: np.ndarray) -> tuple[Score, Array, Array, Arguments]:
        """Return resolved score, examples, ids and arguments of a batch.

        Args:
            rows: Numbers of the images; missing ones, and those beyond the last image, repeat the last.
        """
        rows = np.minimum(rows[np.minimum(np.arange(self.size), len(rows) - 1)], len(self.images) - 1)
        chosen, images = select_images(self.score, self.axes, rows), self.images[rows]
        own = {
            name: of_images(name, value, rows, images)
            for name, value in self.arguments.context.items()
            if is_own(value)
        }
        target, extras, x, words, own = self.devices.cut((chosen.target, chosen.extras, images, self.words[rows], own))
        score = Score(chosen.model, target, extras)
        if isinstance(self.score.target, Predicted):
            score = Score(score.model, clean_pass(score, x, devices=self.devices).target, extras)
        return score, x, words, self.arguments._replace(context={**self.arguments.context, **own})
