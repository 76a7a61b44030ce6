"""Plain shapes on a plain ground, drawn by formula: the pixels, and where objects, edges and corners are.

A shape has a gauge: 1 on its outline, less inside, more outside, t on the outline of the shape that is t times as
large. For a disc it is the distance over the radius, for a regular polygon the largest of the distances along the
sides' normals over the apothem. Pixels count by their centers.
"""

from functools import partial, reduce
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._typing import Array, PyTree

What = Literal["pixels", "objects", "edges", "corners"]
BAND = (0.75, 1.25)
"""Gauges of the edge band: radius 0.6 to 1.0 around an object of radius 0.8, as in create_bands_1.m of NLeSC/XAI."""
CORNER = 0.25
"""Radius of a corner's disc in circumradii: half the width of the band."""
SIDES = 4
"""Sides of a polygon at most; a triangle has one of them twice."""
BLOCK = 1024


class Scene(NamedTuple):
    """What is shown in n images of at most k shapes each, as NumPy arrays.

    Args:
        center: ``(n, k, 2)``, row and column in pixels.
        radius: ``(n, k)``, of the disc or of the circle through the corners, in pixels.
        angle: ``(n, k)``, of one corner, counterclockwise from the right, in radians.
        corners: ``(n, k)``, how many: 3, 4, or 0 for a disc.
        present: ``(n, k)``, which of the shapes are there.
        foreground: ``(n,)``, gray value of the shapes.
        background: ``(n,)``, gray value of the ground.
    """

    center: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    corners: np.ndarray
    present: np.ndarray
    foreground: np.ndarray
    background: np.ndarray


def render(scene: Scene, size: int, what: What, *, blur: float = 0.0) -> np.ndarray:
    """Draw all images, block by block.

    Args:
        scene: The shapes.
        size: Side of the images in pixels.
        what: "pixels" for gray values, float32; "objects", "edges" (the bands around the outlines) or "corners" (discs
            around the corners) for masks, cut at the image's edge.
        blur: Standard deviation of a Gaussian blur of the outlines in pixels, exact where they are straight.

    Returns:
        ``(n, size, size)``.
    """
    n = len(scene.foreground)
    block = min(n, BLOCK)
    drawn = np.empty((n, size, size), np.float32 if what == "pixels" else bool)
    for start in range(0, n, block):
        rows = np.minimum(np.arange(start, start + block), n - 1)
        own = Scene(*(part[rows] for part in scene))
        ground, change = (values.astype(np.float32) for values in (own.background, own.foreground - own.background))
        found = _draw(_frames(own), ground, change, np.float32(blur), size=size, what=what, sharp=blur == 0)
        drawn[start : start + block] = found[: n - start]
    return drawn


class _Frame(NamedTuple):
    """Shapes prepared for drawing, so that no pixel needs a sine: normals are over the apothem."""

    center: Array
    radius: Array
    apothem: Array
    normals: Array
    vertices: Array
    is_disc: Array
    present: Array


@jax.jit
def _frames(scene: PyTree) -> _Frame:
    sides = jnp.maximum(scene.corners, 3).astype(jnp.float32)
    center, radius, angle = (part.astype(jnp.float32) for part in scene[:3])
    is_disc = scene.corners == 0
    apothem = jnp.where(is_disc, radius, radius * jnp.cos(jnp.pi / sides))

    def directions(first: Array) -> Array:
        turns = jnp.arange(SIDES, dtype=jnp.float32).reshape(1, 1, -1) * (2 * jnp.pi / sides)[..., None]
        angles = first[..., None] + turns
        return jnp.stack([-jnp.sin(angles), jnp.cos(angles)], axis=-1)

    normals = directions(angle + jnp.pi / sides) / apothem[..., None, None]
    vertices = directions(angle) * radius[..., None, None]
    return _Frame(center, radius, apothem, normals, vertices, is_disc, scene.present)


@partial(jax.jit, static_argnames=("size", "what", "sharp"))
def _draw(frames: _Frame, ground: Array, change: Array, blur: Array, *, size: int, what: What, sharp: bool) -> Array:
    draw = partial(_draw_shape, blur=blur, size=size, what=what, sharp=sharp)
    cover = jnp.max(jax.vmap(jax.vmap(draw))(frames), axis=1)
    if what != "pixels":
        return cover
    return ground[:, None, None] + change[:, None, None] * cover.astype(jnp.float32)


def _draw_shape(frame: _Frame, *, blur: Array, size: int, what: What, sharp: bool) -> Array:
    """Return how much of each pixel one shape, its band or its corners cover."""
    places = jnp.arange(size, dtype=jnp.float32)
    down, right = (places - frame.center[0])[:, None], (places - frame.center[1])[None, :]
    if what == "corners":
        away = reduce(jnp.minimum, [jnp.square(down - v[0]) + jnp.square(right - v[1]) for v in frame.vertices])
        return (away <= jnp.square(CORNER * frame.radius)) & frame.present & ~frame.is_disc
    distance = jnp.sqrt(jnp.square(down) + jnp.square(right)) / frame.radius
    beyond = reduce(jnp.maximum, [down * normal[0] + right * normal[1] for normal in frame.normals])
    gauge = jnp.where(frame.is_disc, distance, beyond)
    if what == "edges":
        return (gauge > BAND[0]) & (gauge <= BAND[1]) & frame.present
    if sharp or what == "objects":
        return (gauge <= 1) & frame.present
    cover = jax.scipy.stats.norm.cdf((1 - gauge) * frame.apothem / blur)
    return jnp.where(frame.present, cover, 0.0)
