"""Segmenters as a job writes them, ``{slic = {n_segments = 50}, most = 64}``: each image is cut by its own pixels."""

import importlib.metadata
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.core.segmenters import Segmenter

PROBE = 16
"""Pixels along each axis of the noise on which settings are tried before the first image."""


def read_segmenter(
    value: Mapping[str, Any], known: Mapping[str, Callable[..., Any]], shape: tuple[int, ...], where: str
) -> tuple[Segmenter, dict[str, Any]]:
    """Return a segmenter, and the JSON value that stands for it in the store, with all of its settings.

    Args:
        value: The segmenter's name with its settings, and ``most``, the largest number of segments of an image.
        known: Segmenters by name: ``(image, *, settings)`` to one map, or to several where it takes ``scales``.
        shape: Shape of one image.
        where: The job file and the key, for messages.

    Raises:
        InputError: An unknown segmenter or setting, no bound, images that it cannot cut, or scikit-image is missing.
    """
    for word in value:
        if word not in (*known, "most"):
            raise unknown(where, "segmenter", word, (*known, "grid" if "slic" in known else "grids"))
    chosen, most = [word for word in value if word != "most"], value.get("most")
    if len(chosen) != 1:
        raise InputError(f"{where} = {dict(value)!r}; name one segmenter: {', '.join(known)}.")
    if type(most) is not int or most < 1:
        came = "is missing" if most is None else f"= {most!r} is no number from 1 on"
        raise InputError(f"{where}: most {came}; write the largest number of segments of an image, such as most = 64.")
    (name,) = chosen
    settings = _settings(value[name], known[name], f"{where}.{name}")
    cut = partial(known[name], **settings)
    maps = len(settings["scales"]) if "scales" in settings else None
    _try(cut, shape, f"{where}.{name}")
    version = importlib.metadata.version("scikit-image")
    return Segmenter(cut, most, maps), {name: settings, "most": most, "scikit-image": version}


def check_images(n_maps: int, n_images: int, where: str) -> None:
    """Refuse a file with maps for another number of images.

    Raises:
        InputError: With both numbers.
    """
    if n_maps != n_images:
        raise InputError(
            f"{where}: there are maps for {n_maps} images, and the source has {n_images}; save one for each, in the "
            "order of the source, or one for all."
        )


def _settings(given: Any, segmenter: Callable[..., Any], where: str) -> dict[str, Any]:
    """Return all settings of a segmenter, those given among them, of the types of their defaults."""
    if not isinstance(given, Mapping):
        raise InputError(f"{where} = {given!r}; write its settings as a table, or {{}} for the defaults.")
    found = {
        knob.name: list(knob.default) if isinstance(knob.default, tuple) else knob.default
        for knob in inspect.signature(segmenter).parameters.values()
        if knob.kind is knob.KEYWORD_ONLY
    }
    for name, value in given.items():
        if name not in found:
            raise unknown(where, "key", name, found)
        several, whole = isinstance(found[name], list), isinstance(found[name], int)
        entries = value if several and isinstance(value, list) else [value]
        if not entries or not all(type(entry) is int or (type(entry) is float and not whole) for entry in entries):
            kind = "a list of numbers" if several else "a whole number" if whole else "a number"
            raise InputError(f"{where}.{name} = {value!r}; write {kind}, such as {found[name]}.")
        found[name] = [float(entry) for entry in entries] if several else value if whole else float(value)
    return found


def _try(cut: Callable[[np.ndarray], Any], shape: tuple[int, ...], where: str) -> None:
    """Cut an image of noise, so that what cannot be said of any image is said before the first."""
    small = (*(min(size, PROBE) for size in shape[:-1]), shape[-1])
    try:
        cut(np.random.default_rng(0).random(small, np.float32))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError(f"{where}: scikit-image refuses these settings ({error}); change them.") from error
