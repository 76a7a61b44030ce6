"""Triangles, squares and discs: images whose truth is known, with contrast and size as controlled axes.

Squares and triangles under rotation and scaling, and discs and triangles (DIANNA's Simple Geometric); shapes to be
counted are in ``counting``. Each set comes with masks of the objects, of a band around their outlines and of their
corners. An image depends on the seed and on its number alone: ``first`` says with which number a set begins.

An axis (contrast, radius, angle) is a number, a pair (low, high) to draw from, or an array with one number per image.
The gray values of object and ground are independent and uniform from 0 to 1, given that their contrast, the absolute
difference, lies on its axis; which of the two is brighter is a toss-up.

The sources are create_shapes_2.m of github.com/NLeSC/XAI, and DIANNA (Ranguelova and others 2022,
doi:10.21105/joss.04493). Where they leave a choice it is made here: squares and triangles have the sizes of Simple
Geometric, uniform, and a corner is a disc of a quarter of the circumradius.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxplain._errors import InputError
from jaxplain.synthetic.axes import Axis, check_counts, drawn, grays, uniform
from jaxplain.synthetic.scenes import Scene, render

TURN = 2 * np.pi
NAMES = {0: "disc", 3: "triangle", 4: "square"}


@dataclass(frozen=True, eq=False)
class Shapes:
    """A generated set; masks are drawn when they are first asked for.

    Args:
        images: ``(n, size, size, 1)`` float32 in [0, 1].
        labels: ``(n,)`` int32.
        names: A name per label.
        scene: What is shown: centers, radii, angles and gray values.
        blur: Standard deviation of the outlines' blur in pixels.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    scene: Scene
    blur: float = 0.0

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.images.shape[1]

    @property
    def contrast(self) -> np.ndarray:
        """``(n,)``, absolute difference of the gray values of object and ground."""
        return np.abs(self.scene.foreground - self.scene.background)

    @property
    def radius(self) -> np.ndarray:
        """``(n,)``, radius of the first shape over half the side of the image."""
        return self.scene.radius[:, 0] * 2 / self.size

    @cached_property
    def objects(self) -> np.ndarray:
        """``(n, size, size)`` booleans, the shapes."""
        return render(self.scene, self.size, "objects")

    @cached_property
    def edges(self) -> np.ndarray:
        """``(n, size, size)`` booleans, the bands from 0.75 to 1.25 times the shapes, where edges and corners are."""
        return render(self.scene, self.size, "edges")

    @cached_property
    def corners(self) -> np.ndarray:
        """``(n, size, size)`` booleans, discs of a quarter of the radius around the corners; discs have none."""
        return render(self.scene, self.size, "corners")

    def swapped(self) -> "Shapes":
        """Return the same shapes with the gray values of object and ground exchanged."""
        scene = self.scene._replace(foreground=self.scene.background, background=self.scene.foreground)
        return shown(scene, self.labels, self.names, self.size, self.blur)


def shown(scene: Scene, labels: np.ndarray, names: tuple[str, ...], size: int, blur: float = 0.0) -> Shapes:
    """Draw a scene and put its labels beside the images."""
    images = render(scene, size, "pixels", blur=blur)[..., None]
    return Shapes(images, labels.astype(np.int32), names, scene, blur)


def triangles_and_squares(
    n: int = 20_000,
    *,
    seed: int,
    first: int = 0,
    size: int = 64,
    radius: Axis = (0.4, 0.96),
    contrast: Axis = (0.0, 1.0),
    angle: Axis = (0.0, TURN),
    offset: float = 0.0,
) -> Shapes:
    """Generate squares (label 0) and triangles (label 1), each with probability 1/2, with sharp outlines.

    Args:
        n: Number of images, at least 1.
        seed: Of everything random.
        first: Number of the first image.
        size: Side of the images in pixels, at least 8.
        radius: Axis of the circle through the corners over half the side, above 0 to 1; 0.8 is the rotation set's.
        contrast: Axis of the absolute difference of the gray values; (0, 1) is the study's, without a least one.
        angle: Axis of the direction of one corner, in radians.
        offset: How far from the middle a shape may lie, over the room that there is, 0 to 1.

    Returns:
        Images, labels and the truth.

    Raises:
        InputError: An axis leaves its range or has another length.

    Example:
        >>> made = triangles_and_squares(4, seed=0, size=16)
        >>> made.images.shape, made.objects.shape, made.names
        ((4, 16, 16, 1), (4, 16, 16), ('square', 'triangle'))
    """
    return _single("triangles_and_squares", (4, 3), n, seed, first, size, radius, contrast, angle, offset, 0.0)


def simple_geometric(
    n: int = 10_000,
    *,
    seed: int,
    first: int = 0,
    size: int = 64,
    radius: Axis = (0.4, 0.96),
    contrast: Axis = (0.0, 1.0),
    angle: Axis = (0.0, TURN),
    offset: float = 0.0,
    blur: float = 0.3,
) -> Shapes:
    """Generate discs (label 0) and triangles (label 1), each with probability 1/2, with soft outlines.

    Args:
        n, seed, first, size, contrast, angle, offset: As in ``triangles_and_squares``.
        radius: Axis of the circle, or of that through the corners, over half the side, above 0 to 1.
        blur: Standard deviation of the outlines' blur in pixels; the source blurs by 2.1 at seven times the size.

    Returns:
        Images, labels and the truth.

    Raises:
        InputError: An axis leaves its range or has another length.

    Example:
        >>> made = simple_geometric(4, seed=0, size=16, contrast=0.5)
        >>> made.contrast.tolist(), made.names
        ([0.5, 0.5, 0.5, 0.5], ('disc', 'triangle'))
    """
    return _single("simple_geometric", (0, 3), n, seed, first, size, radius, contrast, angle, offset, blur)


def _single(
    where: str,
    corners: tuple[int, int],
    n: int,
    seed: int,
    first: int,
    size: int,
    radius: Axis,
    contrast: Axis,
    angle: Axis,
    offset: float,
    blur: float,
) -> Shapes:
    """Generate images of one shape each, of two kinds."""
    check_counts(where, n, first, size)
    if not (0 <= offset <= 1 and blur >= 0):
        raise InputError(f"{where}: offset = {offset} must lie between 0 and 1, blur = {blur} must not be negative.")
    draws = uniform(seed, first, n, 8)
    labels = (draws[:, 0] < 0.5).astype(np.int32)
    radii = size / 2 * drawn(where, "radius", radius, draws[:, 1], (0.0, 1.0), open_low=True)
    angles = drawn(where, "angle", angle, draws[:, 2], (-np.inf, np.inf))
    room = np.maximum((size - 1) / 2 - radii, 0)[:, None]
    center = (size - 1) / 2 + offset * room * (2 * draws[:, 3:5] - 1)
    scene = Scene(
        center[:, None],
        radii[:, None],
        angles[:, None],
        np.array(corners, np.int32)[labels][:, None],
        np.ones((n, 1), bool),
        *grays(where, contrast, draws[:, 5:8]),
    )
    return shown(scene, labels, tuple(NAMES[number] for number in corners), size, blur)
