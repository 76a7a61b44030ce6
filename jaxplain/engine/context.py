"""The context of a method, as the explaining program takes it: baselines, ranges, segments, backgrounds, composites.

What differs from image to image is a pytree of arrays with the images in front, or a segmenter that makes one of a
batch's pixels on the host; all else is a pytree that is called with each image and its key.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError, InputTypeError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array, PyTree
from jaxplain.core.backgrounds import check_background
from jaxplain.core.baselines import Constant
from jaxplain.core.nodes import check_nodes
from jaxplain.core.regions import Segmentations, as_segmentations
from jaxplain.core.segmenters import Segmenter
from jaxplain.core.segments import Segments, as_segments, is_per_image, segments_per_image

BASELINE_STREAM = np.uint32(0x6A78)
"""Folded into an image's key for a random baseline, apart from the sample numbers, which start at zero."""


def traced_context(where: str, name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """Return a word of the context as the explaining program takes it.

    Args:
        where: The method, for messages.
        name: The word.
        value: What the user gave.
        shape: Shape of one example.

    Returns:
        Arrays with one entry per image, a segmenter, or a pytree that ``resolved`` calls with each image.

    Raises:
        InputError: Arrays that do not fit the examples.
    """
    if name == "composite":
        return Rulebook.of(value)
    if isinstance(value, Segmenter):
        return _segmenter(where, name, value)
    if name == "segments":
        return _segments(where, value, shape)
    if name == "segmentations":
        return _segmentations(where, value, shape[:-1])
    if name == "nodes":
        return check_nodes(where, value)
    return _background(where, value, shape) if name == "background" else _fitting(where, name, value, shape)


def _fitting(where: str, name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """Return a context value as an array of the example's rank (or with images in front), or as a baseline."""
    if callable(value):
        return canonical(value)
    array = np.asarray(value, np.float32) if not isinstance(value, jax.Array) else value
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return array
    own = (1,) * (len(shape) - array.ndim) + array.shape
    if len(own) != len(shape) or any(size not in (1, full) for size, full in zip(own, shape, strict=True)):
        raise InputError(
            f"{where}: {name} of shape {array.shape} does not fit examples of shape {shape}; pass that shape, "
            "one per image, a number, or one number per channel."
        )
    return Constant(jnp.asarray(array))


def _background(where: str, value: Any, shape: tuple[int, ...]) -> "Shared":
    """Return a background set, the same for all images."""
    array = np.asarray(value, np.float32) if not isinstance(value, jax.Array) else value
    check_background(where, array, shape)
    return Shared(jnp.asarray(array))


def _segments(where: str, value: Any, shape: tuple[int, ...]) -> Any:
    """Return a segment map that all images share, or one per image where the shape is an example's with them in front.

    A map that fits one example is shared, even where it might be read as one per image.
    """
    if is_per_image(value, shape):
        return segments_per_image(where, value, shape)
    return Shared(as_segments(where, value, shape))


def _segmentations(where: str, value: Any, space: tuple[int, ...]) -> Any:
    """Return a stack of segment maps that all images share, or one stack per image where there is an axis more."""
    labels = value.labels if isinstance(value, Segmentations) else value
    if np.ndim(labels) == len(space) + 2:
        return as_segmentations(where, value, space, per_image=True)
    return Shared(as_segmentations(where, value, space))


def _segmenter(where: str, name: str, value: Segmenter) -> Segmenter:
    if name not in ("segments", "segmentations") or (name == "segments") != (value.maps is None):
        raise InputError(
            f"{where}: {name} cannot be a Segmenter with maps = {value.maps}; segments take one with maps = None, and "
            "segmentations one that says how many maps it cuts."
        )
    return value


@pytree
class Shared:
    """What all images share: arrays, segments or segmentations."""

    values: Any

    def __call__(self, x: Array, key: Array | None) -> Any:
        return _for_example(self.values, x)


@pytree
class Rulebook:
    """A composite whose numbers are traced: pairs of predicate and rule, taken apart."""

    numbers: tuple[Any, ...]
    skeleton: tuple[Any, ...] = static()

    @classmethod
    def of(cls, rules: Any) -> "Rulebook":
        """Part a composite into numbers and the rest, which is compared by value."""
        if not isinstance(rules, list | tuple):
            raise InputTypeError(
                f"composite must be a name or a tuple of pairs (predicate, rule), got {type(rules).__name__}."
            )
        leaves, tree = jax.tree.flatten(tuple(tuple(pair) if isinstance(pair, list) else pair for pair in rules))
        traced = [isinstance(leaf, float | np.ndarray | jax.Array) for leaf in leaves]
        numbers = tuple(np.asarray(leaf, np.float32) for leaf, moves in zip(leaves, traced, strict=True) if moves)
        return cls(numbers, (tree, tuple(None if moves else leaf for leaf, moves in zip(leaves, traced, strict=True))))

    def __call__(self, x: Array, key: Array | None) -> Any:
        """Put the composite together again."""
        tree, leaves = self.skeleton
        numbers = iter(self.numbers)
        return jax.tree.unflatten(tree, [next(numbers) if leaf is None else leaf for leaf in leaves])


def context_axes(value: Any) -> Any:
    """Return the axis that carries the images: 0, or None where all share a value."""
    return jax.tree.map(lambda _: None if callable(value) else 0, value)


def resolved(value: Any, x: Array, key: Array | None) -> Any:
    """Return the value for one image."""
    if callable(value):
        return value(x, None if key is None else jax.random.fold_in(key, BASELINE_STREAM))
    return _for_example(value, x)


def is_own(value: Any) -> bool:
    """Whether a word of the context differs from image to image."""
    return not callable(value)


def of_images(name: str, value: Any, rows: np.ndarray, images: Any) -> Any:
    """Return the entries of some images, of a word of the context that differs from image to image.

    Args:
        name: The word, for messages.
        value: What ``traced_context`` returned.
        rows: Numbers of the images.
        images: Their pixels.

    Raises:
        InputError: A segmenter cuts an image into more segments than it may.
    """
    if isinstance(value, Segmenter):
        return value.of(name, rows, images)
    return jax.tree.map(lambda leaf: leaf[rows], value)


def shapes_of_batch(value: Any, batch: int, shape: tuple[int, ...]) -> Any:
    """Return the shapes of a word of the context that differs from image to image, for a batch.

    Args:
        value: What ``traced_context`` returned.
        batch: Images per step.
        shape: Shape of one example.
    """
    if isinstance(value, Segmenter):
        return value.blank(batch, shape)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype), value)


def check_length(where: str, context: dict[str, Any], n_images: int) -> None:
    """Refuse words of the context that have entries for another number of images.

    Raises:
        InputError: With the word and the two numbers.
    """
    for name, value in context.items():
        for leaf in jax.tree.leaves(value) if is_own(value) and not isinstance(value, Segmenter) else ():
            if len(leaf) != n_images:
                raise InputError(
                    f"{where}: {name} has {len(leaf)} entries for {n_images} images; pass one for each, or one for all."
                )


def _for_example(value: Any, x: Array) -> Any:
    return value if isinstance(value, Segments | Segmentations) else value.astype(x.dtype)


def canonical(tree: PyTree) -> PyTree:
    """Give every leaf one strong dtype, so that labels as Python or NumPy integers make one program."""

    def strong(leaf: Any) -> Any:
        array = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        if jnp.issubdtype(array.dtype, jnp.integer):
            return array.astype(np.int32)
        if isinstance(leaf, float):
            return array.astype(np.float32)
        return array

    return jax.tree.map(strong, tree)
