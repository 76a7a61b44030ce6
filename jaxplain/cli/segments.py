"""Segments as a job writes them: for all images ``{grid = [8, 8]}`` or the path of a ``.npy`` file, for each image
``{slic = {n_segments = 50}, most = 64}`` or a file with one map after the other.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxplain._errors import InputError
from jaxplain.cli.arrays import labels_spec, load_array
from jaxplain.cli.paths import resolved
from jaxplain.cli.segmenters import check_images, read_segmenter
from jaxplain.core.felzenszwalb import felzenszwalb
from jaxplain.core.segmenters import Segmenter, quickshift, slic
from jaxplain.core.segments import Segments, as_segments, grid_segments, is_per_image, segments_per_image

SEGMENTERS: dict[str, Callable[..., Any]] = {"slic": slic, "quickshift": quickshift, "felzenszwalb": felzenszwalb}


def read_segments(
    value: Any, shape: tuple[int, ...], n_images: int, folder: Path, where: str
) -> tuple[Segments | Segmenter, Any]:
    """Return segments, and the JSON value that stands for them in the store.

    Args:
        value: ``{grid = [8, 8]}``, cells along the axes of space, or of all axes; or the path of a ``.npy`` file of
            whole numbers from 0 on, of an image's shape or without its channels, or with the images in front; or
            ``{slic = {n_segments = 50}, most = 64}``, a segmenter with its settings and the most segments of an image.
        shape: Shape of one image.
        n_images: How many images there are.
        folder: The folder of the job file.
        where: The job file and the key, for messages.

    Raises:
        InputError: Neither of these, or it does not fit the images.
    """
    if isinstance(value, str) and value.lower().endswith(".npy"):
        labels = load_array(resolved(folder, value), where)
        if is_per_image(labels, shape):
            found = segments_per_image(where, labels, shape)
            check_images(len(labels), n_images, where)
            return found, labels_spec(labels)
        return as_segments(where, labels, shape), labels_spec(labels)
    if isinstance(value, Mapping) and "grid" not in value:
        return read_segmenter(value, SEGMENTERS, shape, where)
    if not isinstance(value, Mapping) or set(value) != {"grid"}:
        raise InputError(
            f"{where} = {value!r}; write {{grid = [8, 8]}}, the path of a .npy file of whole numbers, or "
            "{slic = {n_segments = 50}, most = 64}."
        )
    cells = value["grid"]
    if not isinstance(cells, list | tuple) or not all(type(n) is int for n in cells):
        raise InputError(f"{where}.grid = {cells!r}; write one number of cells for each axis, such as [8, 8].")
    axes = shape if len(cells) == len(shape) else shape[:-1]
    try:
        labels = grid_segments(axes, tuple(cells))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return as_segments(where, labels, shape), {"grid": list(cells)}
