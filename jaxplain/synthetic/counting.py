"""Shapes to be counted: how many there are is the label."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.synthetic.axes import Axis, check_counts, drawn, grays, uniform
from jaxplain.synthetic.scenes import Scene
from jaxplain.synthetic.shapes import Shapes, shown

Kind = Literal["disc", "diamond", "square"]
KINDS = {"disc": (0, 0.0), "diamond": (4, 0.0), "square": (4, np.pi / 4)}
"""Corners and the angle of the first of them."""
GAP = 2.0
"""Pixels between the circles around two shapes, at least."""
TRIES = 16
"""Places drawn for each shape."""


def count_shapes(
    n: int = 60_000,
    *,
    seed: int,
    first: int = 0,
    size: int = 64,
    most: int = 3,
    kinds: Sequence[Kind] = ("disc",),
    mixed: bool = False,
    radius: Axis = 0.125,
    contrast: Axis = 1.0,
) -> Shapes:
    """Generate images with one to ``most`` shapes, which do not touch, to be counted; label 0 is one shape.

    The number wanted is uniform. Of 16 places drawn for a shape the first that keeps 2 pixels from all others is taken;
    where there is none the shape is left out, and the label follows what is there.

    Args:
        n: Number of images, at least 1.
        seed: Of everything random.
        first: Number of the first image.
        size: Side of the images in pixels, at least 8.
        most: Largest number of shapes.
        kinds: Of "disc", "diamond" and "square", each as likely as the others.
        mixed: Whether each shape draws its own kind, or all of an image share one.
        radius: Axis of the radius over half the side, above 0 to 1/2, drawn per shape; 0.125 is 4 pixels of 64. Of
            diamonds and squares it is that of the circle through the corners.
        contrast: Axis of the absolute difference of the gray values; 1 is black and white.

    Returns:
        Images, labels and the truth.

    Raises:
        InputError: An axis leaves its range or has another length, or a kind is unknown.

    Example:
        >>> made = count_shapes(5, seed=0, most=2)
        >>> made.names, set(made.labels.tolist()) <= {0, 1}
        (('1', '2'), True)
    """
    where = "count_shapes"
    check_counts(where, n, first, size)
    for kind in kinds:
        if kind not in KINDS:
            raise unknown(where, "kind", kind, get_args(Kind))
    if most < 1 or not kinds:
        raise InputError(f"{where}: most = {most} and kinds = {tuple(kinds)!r}; pass at least one of each.")
    draws = uniform(seed, first, n, 5 + most * (2 + 2 * TRIES))
    shared, own = draws[:, :5], draws[:, 5:].reshape(n, most, 2 + 2 * TRIES)
    radii = size / 2 * drawn(where, "radius", radius, own[..., 0], (0.0, 0.5), open_low=True)
    center, present = _placed(radii, own[..., 2:].reshape(n, most, TRIES, 2), size)
    wanted = 1 + np.floor(shared[:, 0] * most)
    present &= np.cumsum(present, axis=1) <= wanted[:, None]
    picked = np.floor((own[..., 1] if mixed else np.repeat(shared[:, 1:2], most, axis=1)) * len(kinds)).astype(int)
    corners, angle = (np.array([KINDS[kind][part] for kind in kinds])[picked] for part in (0, 1))
    scene = Scene(center, radii, angle, corners.astype(np.int32), present, *grays(where, contrast, shared[:, 2:]))
    return shown(scene, present.sum(axis=1) - 1, tuple(str(number + 1) for number in range(most)), size)


def _placed(radii: np.ndarray, draws: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centers ``(n, k, 2)``, the first of the places drawn for each shape that is free, and which found one."""
    n, most = radii.shape
    rows = np.arange(n)
    center, present = np.zeros((n, most, 2)), np.zeros((n, most), bool)
    for shape in range(most):
        own = radii[:, shape, None, None]
        places = own + draws[:, shape] * (size - 1 - 2 * own)
        free = np.ones(places.shape[:2], bool)
        for other in range(shape):
            apart = np.linalg.norm(places - center[:, other, None], axis=-1)
            free &= ~present[:, other, None] | (apart >= radii[:, [shape]] + radii[:, [other]] + GAP)
        taken = np.argmax(free, axis=1)
        center[:, shape], present[:, shape] = places[rows, taken], free[rows, taken]
    return center, present
