"""Stacks of segment maps as a job writes them: of all images ``{grids = [[4, 4], [8, 8]]}`` or a ``.npy`` file, of each
image ``{felzenszwalb = {scales = [50, 150]}, most = 200}`` or a file with one stack after the other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.cli.arrays import labels_spec, load_array
from jaxplain.cli.paths import resolved
from jaxplain.cli.segmenters import check_images, read_segmenter
from jaxplain.core.felzenszwalb import felzenszwalb_scales
from jaxplain.core.regions import Segmentations, as_segmentations
from jaxplain.core.segmenters import Segmenter
from jaxplain.core.segments import grid_segments

SEGMENTERS = {"felzenszwalb": felzenszwalb_scales}


def read_segmentations(
    value: Any, shape: tuple[int, ...], n_images: int, folder: Path, where: str
) -> tuple[Segmentations | Segmenter, dict[str, Any]]:
    """Return segmentations, and the JSON value that stands for them in the store.

    Args:
        value: ``{grids = [[4, 4], [8, 8]]}``, cells along the axes of space, scale by scale; or the path of a ``.npy``
            file of whole numbers, ``(n, *space)`` or ``(images, n, *space)``, every map from 0 on; or
            ``{felzenszwalb = {scales = [50, 150]}, most = 200}``.
        shape: Shape of one image.
        n_images: How many images there are.
        folder: The folder of the job file.
        where: The job file and the key, for messages.

    Raises:
        InputError: Neither of these, or it does not fit the images.
    """
    if isinstance(value, str) and value.lower().endswith(".npy"):
        labels = load_array(resolved(folder, value), where)
        per_image = labels.ndim == len(shape) + 1
        found = as_segmentations(where, labels, shape[:-1], per_image=per_image)
        if per_image:
            check_images(len(labels), n_images, where)
        return found, labels_spec(labels)
    if isinstance(value, Mapping) and "grids" not in value:
        return read_segmenter(value, SEGMENTERS, shape, where)
    grids = value.get("grids") if isinstance(value, Mapping) and set(value) == {"grids"} else None
    if not isinstance(grids, list | tuple) or not grids or not all(_is_grid(cells) for cells in grids):
        raise InputError(
            f"{where} = {value!r}; write {{grids = [[4, 4], [8, 8]]}}, the path of a .npy file of whole numbers, or "
            "{felzenszwalb = {scales = [50, 150]}, most = 200}."
        )
    try:
        maps = np.stack([grid_segments(shape[:-1], tuple(cells)) for cells in grids])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return as_segmentations(where, maps, shape[:-1]), {"grids": [list(cells) for cells in grids]}


def _is_grid(cells: Any) -> bool:
    return isinstance(cells, list | tuple) and all(type(n) is int for n in cells)
