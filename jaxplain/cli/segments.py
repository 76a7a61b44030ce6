"""Segments as a job writes them: ``{grid = [8, 8]}``, or the path of a ``.npy`` file; the same for all images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxplain._errors import InputError
from jaxplain.cli.arrays import labels_spec, load_array
from jaxplain.cli.paths import resolved
from jaxplain.core.segments import Segments, as_segments, grid_segments


def read_segments(value: Any, shape: tuple[int, ...], folder: Path, where: str) -> tuple[Segments, Any]:
    """Return segments, and the JSON value that stands for them in the store.

    Args:
        value: ``{grid = [8, 8]}``, cells along the axes of space, or of all axes; or the path of a ``.npy`` file of
            whole numbers 0 to n - 1, of an image's shape or without its channels.
        shape: Shape of one image.
        folder: The folder of the job file.
        where: The job file and the key, for messages.

    Raises:
        InputError: Neither of these, or it does not fit the images.
    """
    if isinstance(value, str) and value.lower().endswith(".npy"):
        labels = load_array(resolved(folder, value), where)
        return as_segments(where, labels, shape), labels_spec(labels)
    if not isinstance(value, Mapping) or set(value) != {"grid"}:
        raise InputError(f"{where} = {value!r}; write {{grid = [8, 8]}} or the path of a .npy file of whole numbers.")
    cells = value["grid"]
    if not isinstance(cells, list | tuple) or not all(type(n) is int for n in cells):
        raise InputError(f"{where}.grid = {cells!r}; write one number of cells for each axis, such as [8, 8].")
    axes = shape if len(cells) == len(shape) else shape[:-1]
    try:
        labels = grid_segments(axes, tuple(cells))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return as_segments(where, labels, shape), {"grid": list(cells)}
