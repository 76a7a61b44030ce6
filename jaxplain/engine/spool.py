"""The scores of a sweep, turned so that one label of one order is read at a time.

Scores arrive image by image and are measured label by label over all images. They are turned once, in memory or, past
a quarter of a gigabyte, in a temporary file that the operating system pages, so that memory does not grow with images,
orders and steps.
"""

import tempfile
from math import prod

import numpy as np

IN_MEMORY = 1 << 28


class Spool:
    """Scores of n images.

    Args:
        n: Number of images.
        orders: Number of orders.
        steps: Number of masks per order and mode.
        labels: Number of labels.
    """

    def __init__(self, n: int, orders: int, steps: int, labels: int):
        shape = (orders, 2, labels, steps, n)
        self._file = None
        if prod(shape) * 4 <= IN_MEMORY:
            self._scores = np.empty(shape, np.float32)
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the spool
            self._scores = np.memmap(self._file, np.float32, "w+", shape=shape)
        self.ends = np.empty((2, n, labels), np.float32)

    def put(self, first: int, scores: np.ndarray, ends: np.ndarray) -> None:
        """Take in the scores of images from ``first`` on.

        Args:
            first: Number of the first image.
            scores: ``(rows, orders, 2, steps, labels)``.
            ends: ``(rows, 2, labels)``: the full and the blank image.
        """
        last = first + len(scores)
        self._scores[..., first:last] = scores.transpose(1, 2, 4, 3, 0)
        self.ends[:, first:last] = ends.transpose(1, 0, 2)

    def read(self, order: int, mode: int, label: int) -> np.ndarray:
        """Return ``(steps, n)``."""
        return np.asarray(self._scores[order, mode, label])

    def close(self) -> None:
        """Give the memory or the file back."""
        del self._scores
        if self._file is not None:
            self._file.close()
