"""Whether a target fits the images and the network's outputs, looked at before anything is compiled."""

import dataclasses

import jax
import numpy as np

from jaxplain._errors import InputError, InputTypeError
from jaxplain._typing import PyTree
from jaxplain.core.targets import Output, Target


def check_target(target: object) -> None:
    """Refuse what is no target, and lists where arrays belong.

    Raises:
        InputTypeError: With the remedy.
    """
    if not callable(target) or isinstance(target, type):
        raise InputTypeError(
            f"target: {target!r} is no target; pass one such as jaxplain.Logit(3) or jaxplain.Predicted()."
        )
    if not dataclasses.is_dataclass(target):
        return
    for field in dataclasses.fields(target):
        value = getattr(target, field.name)
        if "rank" in field.metadata and isinstance(value, list | tuple):
            where = f"{type(target).__name__}.{field.name}"
            raise InputTypeError(f"{where}: got a {type(value).__name__}; pass an array, as np.array({value!r}).")


def check_classes(target: Target, output: PyTree) -> None:
    """Refuse numbers of classes that the network does not have; traced ones cannot be looked at.

    Inside a program such a class gives a score of NaN, and a gradient of zero, which nobody would notice.

    Args:
        target: The target, with or without the images along its leaves.
        output: Shapes of one example's output.

    Raises:
        InputError: With the first class that does not fit.
    """
    if not dataclasses.is_dataclass(target):
        return
    for field in dataclasses.fields(target):
        value = getattr(target, field.name)
        if field.metadata.get("classes") and not isinstance(value, jax.core.Tracer):
            _check(f"{type(target).__name__}.{field.name}", np.asarray(value), output)
        elif not field.metadata.get("static"):
            check_classes(value, target.part(output) if isinstance(target, Output) else output)


def check_images(target: Target, axes: tuple[int | None, ...], n_images: int) -> None:
    """Refuse leaves that carry another number of images.

    Args:
        target: The target.
        axes: Which of its leaves carry the images along axis 0.
        n_images: Number of images.

    Raises:
        InputError: With the two numbers.
    """
    for leaf, axis in zip(jax.tree.leaves(target), axes, strict=True):
        if axis == 0 and len(leaf) != n_images:
            raise InputError(
                f"{type(target).__name__}: the target has {len(leaf)} entries for {n_images} images; pass one per "
                "image, or one for all."
            )


def _check(where: str, classes: np.ndarray, output: PyTree) -> None:
    if not hasattr(output, "shape") or not output.shape:
        return  # the target itself says what output it needs
    n_classes = output.shape[-1]
    outside = np.argwhere((classes < 0) | (classes >= n_classes))
    if len(outside):
        entry = tuple(outside[0].tolist())
        at = f" (entry {entry[0] if len(entry) == 1 else entry})" if entry else ""
        raise InputError(
            f"{where}: class {classes[entry]}{at} lies outside the network's outputs 0 ... {n_classes - 1}; "
            "mend the labels, or leave out the images that have none."
        )
