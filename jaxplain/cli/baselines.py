"""Baselines as a job writes them: a number, one number per channel, a word, a table with the word's setting, or a file.

All are in the units of the network's input, that is after ``[input]``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.cli.arrays import load_array, sha256
from jaxplain.cli.paths import resolved
from jaxplain.core.baselines import Baseline, Blur, ChannelMean, Constant, Noise
from jaxplain.core.imputation import NoisyLinear

WORDS: dict[str, Any] = {"channel-mean": ChannelMean, "blur": Blur, "noise": Noise, "noisy-linear": NoisyLinear}


def read_baseline(value: Any, shape: tuple[int, ...], folder: Path, where: str) -> tuple[Baseline, Any]:
    """Return a baseline, and the JSON value that stands for it in the store.

    Args:
        value: A number, a list with one number per channel, "channel-mean", "blur", "noise", "noisy-linear",
            ``{kind = "blur", sigma = 3.0}``, or the path of a ``.npy`` file of an image's shape.
        shape: Shape of one image.
        folder: The folder of the job file.
        where: The job file and the key, for messages.

    Raises:
        InputError: None of these, or it does not fit the images.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Constant(jnp.float32(value)), float(value)
    if isinstance(value, list | tuple):
        return _per_channel(value, shape, where)
    if isinstance(value, str) and value.lower().endswith(".npy"):
        return _image(resolved(folder, value), shape, where)
    table: Any = {"kind": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or "kind" not in table:
        raise InputError(
            f"{where} = {value!r}; write a number, one per channel, {', '.join(map(repr, WORDS))} or a .npy file."
        )
    if table["kind"] not in WORDS:
        raise unknown(where, "word", str(table["kind"]), (*WORDS, "a number", "a .npy file"))
    settings = {name: number for name, number in table.items() if name != "kind"}
    known = () if table["kind"] == "channel-mean" else ("sigma",)
    for name, number in settings.items():
        if name not in known:
            raise unknown(where, "key", name, ("kind", *known))
        if type(number) not in (int, float) or not number > 0:
            raise InputError(f"{where}.{name} = {number!r} must be a positive number.")
    return WORDS[table["kind"]](**{name: float(number) for name, number in settings.items()}), dict(table)


def _per_channel(value: Any, shape: tuple[int, ...], where: str) -> tuple[Baseline, Any]:
    numbers = [float(entry) for entry in value if isinstance(entry, int | float) and not isinstance(entry, bool)]
    if len(numbers) != len(value) or len(numbers) not in (1, shape[-1]):
        raise InputError(f"{where} = {value!r}; give one number for each of the {shape[-1]} channels.")
    return Constant(jnp.asarray(numbers, jnp.float32)), numbers


def _image(path: str, shape: tuple[int, ...], where: str) -> tuple[Baseline, Any]:
    image = load_array(path, where)
    if image.shape != shape or image.dtype.kind not in "biuf" or not np.isfinite(image).all():
        raise InputError(
            f"{where}: {path} holds {image.dtype} of shape {image.shape}; expected finite numbers of shape {shape}."
        )
    values = np.ascontiguousarray(image, np.float32)
    return Constant(jnp.asarray(values)), {"sha256": sha256(values)}
