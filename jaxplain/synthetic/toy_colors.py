"""Toy colors: 5x5 images with two rules, either of which alone tells the classes apart.

Rule 1: the four corners have the same color. Rule 2: the three pixels in the middle of the top row all differ.
Images of class 0 obey both, images of class 1 break both; all other pixels are random. Accuracy cannot tell which rule
a network has learned; where its gradients lie can. Networks left alone learn rule 1.

Ross, Hughes and Doshi-Velez 2017, Right for the right reasons, arXiv:1703.03717.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from jaxplain._errors import InputError

SIZE = 5
COLORS = np.array([(255, 0, 0), (0, 255, 0), (0, 128, 255), (128, 0, 255)], np.float32) / 255
"""Red, green, blue and violet."""


@dataclass(frozen=True, eq=False)
class ToyColors:
    """A generated set.

    Args:
        images: ``(n, 5, 5, 3)`` float32 in [0, 1].
        labels: ``(n,)`` int32; 0 obeys both rules, 1 breaks both.
        rule1: ``(5, 5)`` booleans, the four corners.
        rule2: ``(5, 5)`` booleans, the three pixels in the middle of the top row.
    """

    images: np.ndarray
    labels: np.ndarray
    rule1: np.ndarray
    rule2: np.ndarray


def toy_colors(n: int = 2000, *, seed: int) -> ToyColors:
    """Generate images that obey both rules or break both, each with probability 1/2.

    The colors under a rule are drawn uniformly from all that obey it, or from all that break it.

    Args:
        n: Number of images, at least 1.
        seed: Of everything random.

    Raises:
        InputError: n is below 1.

    Example:
        >>> data = toy_colors(4, seed=0)
        >>> data.images.shape, data.labels.shape, int(data.rule1.sum()), int(data.rule2.sum())
        ((4, 5, 5, 3), (4,), 4, 3)
    """
    if n < 1:
        raise InputError(f"toy_colors: n = {n} must be at least 1.")
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n).astype(np.int32)
    rule1, rule2 = np.zeros((2, SIZE, SIZE), bool)
    rule1[::4, ::4] = True
    rule2[0, 1:4] = True
    colors = rng.integers(0, len(COLORS), (n, SIZE, SIZE))
    corners, middle = _all_colorings(4), _all_colorings(3)
    same = (corners == corners[:, :1]).all(axis=1)
    differ = np.array([len(set(row)) == 3 for row in middle.tolist()])
    for where, colorings, obeyed in ((rule1, corners, same), (rule2, middle, differ)):
        for label, allowed in enumerate((colorings[obeyed], colorings[~obeyed])):
            rows = np.flatnonzero(labels == label)
            colors[rows[:, None], *np.nonzero(where)] = allowed[rng.integers(0, len(allowed), len(rows))]
    return ToyColors(COLORS[colors], labels, rule1, rule2)


def _all_colorings(pixels: int) -> np.ndarray:
    return np.array(list(product(range(len(COLORS)), repeat=pixels)))
