"""Background sets as a job writes them: a ``.npy`` file, or a source of images with how many of its first to take."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.cli.arrays import load_array, sha256
from jaxplain.cli.jobfile import JobFile
from jaxplain.cli.paths import resolved, resolved_url
from jaxplain.io.sources.opening import open_source
from jaxplain.io.status import OK


def read_background(value: Any, shape: tuple[int, ...], file: JobFile, where: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return a background set, and the JSON value that stands for it in the store.

    Args:
        value: The path of a ``.npy`` file ``(n, *in)`` in the units of the network's input, after ``[input]``; or
            ``{url = "npz://others.npz", limit = 50}``, images that go through ``[input]`` as those of the job do.
        shape: Shape of one image.
        file: The job file.
        where: It and the key, for messages.

    Raises:
        InputError: Neither of these, or images of another shape.
    """
    if isinstance(value, str) and value.lower().endswith(".npy"):
        path = resolved(file.folder, value)
        images = load_array(path, where)
    elif isinstance(value, Mapping) and "url" in value:
        path, images = str(value["url"]), _first_images(value, file, where)
    else:
        raise InputError(
            f"{where} = {value!r}; write the path of a .npy file of images, or "
            '{url = "npz://others.npz", limit = 50}.'
        )
    fits = images.ndim == len(shape) + 1 and images.shape[1:] == shape and len(images)
    if not fits or images.dtype.kind not in "biuf" or not np.isfinite(images).all():
        raise InputError(
            f"{where}: {path} holds {images.dtype} of shape {images.shape}; expected finite images (n, "
            f"{', '.join(map(str, shape))}), at least one."
        )
    values = np.ascontiguousarray(images, np.float32)
    return values, {"images": len(values), "sha256": sha256(values)}


def _first_images(value: Mapping[str, Any], file: JobFile, where: str) -> np.ndarray:
    for name in value:
        if name not in ("url", "limit"):
            raise unknown(where, "key", name, ("url", "limit"))
    limit = value.get("limit")
    if type(limit) is not int or limit < 1:
        raise InputError(f"{where}.limit = {limit!r}; write how many of the first images make the set, such as 50.")
    try:
        source = open_source(resolved_url(file.folder, str(value["url"])), file.input)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    try:
        rows = source.read(np.arange(min(limit, len(source))))
    finally:
        source.close()
    return rows.image[rows.status == OK]
