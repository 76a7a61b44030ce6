"""Targets: what to explain of a network's output.

A target is a pytree that, called with one example's output, returns a scalar or a vector of K scores. What differs
from image to image (a label, a mask) is a leaf; a leaf may carry the images along a leading axis, and then every
image gets its own entry. There are no other ways to write a target: not as an integer, a tuple or a list.

A class or a position outside the output gives NaN, also a negative one: -1 marks an image without a label.

How many axes a leaf has for one image is declared by ``rank``; ``"spatial"`` means one less than the output has.
Targets written elsewhere may declare it as well; a leaf without it belongs to the images as soon as it has an axis.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._pytree import pytree, static
from jaxplain._typing import Array, PyTree


class Target(Protocol):
    """Anything callable that is a pytree: one example's output to a scalar or a vector of scores."""

    def __call__(self, output: PyTree, /) -> Array:
        """Return the score or the scores."""
        ...


def leaf(rank: int | Literal["spatial"], *, classes: bool = False, **options: Any) -> Any:
    """Declare a leaf, the number of axes that it has for one image, and whether it holds numbers of classes."""
    return dataclasses.field(metadata={"rank": rank, "classes": classes}, **options)


@pytree
class Logit:
    """One entry of a vector of outputs, ``output[index]``.

    Args:
        index: Class number, or one per image.

    Example:
        >>> float(Logit(1)(jnp.array([0.5, 2.0])))
        2.0
    """

    index: Array | int = leaf(rank=0, classes=True)

    def __call__(self, output: Array) -> Array:
        return _entry(output, self.index)


@pytree
class Logits:
    """Several entries of a vector of outputs, explained together: one forward pass, K pull-backs.

    Args:
        indices: Class numbers ``(K,)``, or ``(images, K)``.

    Example:
        >>> Logits(jnp.array([1, 0]))(jnp.array([0.5, 2.0]))
        Array([2. , 0.5], dtype=float32)
    """

    indices: Array = leaf(rank=1, classes=True)

    def __call__(self, output: Array) -> Array:
        return _entry(output, self.indices)


@pytree
class LogProb:
    """Logarithm of one class's softmax probability.

    Args:
        index: Class number, or one per image.

    Example:
        >>> round(float(LogProb(0)(jnp.zeros(4))), 4)
        -1.3863
    """

    index: Array | int = leaf(rank=0, classes=True)

    def __call__(self, output: Array) -> Array:
        return _entry(jax.nn.log_softmax(output), self.index)


@pytree
class Prob:
    """Softmax probability of one class.

    Args:
        index: Class number, or one per image.

    Example:
        >>> float(Prob(0)(jnp.zeros(4)))
        0.25
    """

    index: Array | int = leaf(rank=0, classes=True)

    def __call__(self, output: Array) -> Array:
        return _entry(jax.nn.softmax(output), self.index)


@pytree
class Margin:
    """One class's output minus the largest of all others.

    Args:
        index: Class number, or one per image.

    Example:
        >>> float(Margin(0)(jnp.array([3.0, 1.0, 2.0])))
        1.0
    """

    index: Array | int = leaf(rank=0, classes=True)

    def __call__(self, output: Array) -> Array:
        own = jnp.arange(output.shape[-1]) == self.index
        return _entry(output, self.index) - jnp.max(jnp.where(own, -jnp.inf, output), axis=-1)


@pytree
class Output:
    """A part of a structured output, read by another target.

    Args:
        path: Keys or positions that lead to the part: ``("logits",)``; ``()`` takes the output as it is.
        then: Target of that part; none takes it as the score itself, which suits regression.

    Example:
        >>> float(Output(("head", 0), Logit(1))({"head": (jnp.array([1.0, 5.0]),)}))
        5.0
    """

    path: tuple[str | int, ...] = static(default=())
    then: Any = None

    def __call__(self, output: PyTree) -> Array:
        part = self.part(output)
        return part if self.then is None else self.then(part)

    def part(self, output: PyTree) -> PyTree:
        """Return the part that the path leads to."""
        for step in self.path:
            try:
                if isinstance(step, int) and isinstance(output, jax.Array):
                    step = range(output.shape[0])[step]  # JAX would clip a position beyond the end
                output = output[step]
            except (KeyError, IndexError, TypeError) as error:
                raise InputError(
                    f"Output: no part {step!r} of path {self.path} in the network's output, {_parts(output)}."
                ) from error
        return output


@pytree
class ClassMask:
    """Sum of one class's scores over a mask, for outputs ``(*space, classes)`` such as segmentations.

    Args:
        index: Class number, or one per image.
        mask: Weights over space, 1 = counted; with or without the images in front.

    Example:
        >>> float(ClassMask(1, jnp.eye(2))(jnp.stack([jnp.zeros((2, 2)), jnp.ones((2, 2))], -1)))
        2.0
    """

    index: Array | int = leaf(rank=0, classes=True)
    mask: Array = leaf(rank="spatial")

    def __call__(self, output: Array) -> Array:
        return jnp.sum(_known(output, (..., jnp.asarray(self.index))) * _over_space("ClassMask", self.mask, output))


@pytree
class Region:
    """Sum of all channels of an output ``(*space, channels)`` over a mask.

    Args:
        mask: Weights over space, 1 = counted; with or without the images in front.

    Example:
        >>> float(Region(jnp.eye(2))(jnp.ones((2, 2, 3))))
        6.0
    """

    mask: Array = leaf(rank="spatial")

    def __call__(self, output: Array) -> Array:
        return jnp.sum(jnp.sum(output, axis=-1) * _over_space("Region", self.mask, output))


@pytree
class Point:
    """One class's score at one position of an output ``(*space, classes)``.

    Args:
        position: Coordinates ``(space,)``, or ``(images, space)``.
        index: Class number, or one per image.

    Example:
        >>> float(Point(jnp.array([1, 0]), 2)(jnp.arange(12.0).reshape(2, 2, 3)))
        8.0
    """

    position: Array = leaf(rank=1)
    index: Array | int = leaf(rank=0, classes=True)

    def __call__(self, output: Array) -> Array:
        position = jnp.asarray(self.position)
        if position.shape != (output.ndim - 1,):
            raise InputError(
                f"Point: a position of shape {position.shape} does not fit an output {output.shape}; "
                f"pass {output.ndim - 1} coordinates."
            )
        return _known(output, (*position, jnp.asarray(self.index)))


@pytree
class Predicted:
    """The class that the clean forward pass ranks highest, read by another target.

    The engine resolves it image by image before it explains; called unresolved, a score raises.

    Args:
        of: Target type made from the predicted index.

    Example:
        >>> Predicted().resolve(jnp.array([0.0, 3.0])).index
        Array(1, dtype=int32)
    """

    of: Callable[..., Any] = static(default=Logit)

    def __call__(self, output: PyTree) -> Array:
        return self.resolve(output)(output)

    def resolve(self, output: PyTree) -> Any:
        """Return the target of one example's output, or of a batch's."""
        leaves = jax.tree.leaves(output)
        if len(leaves) != 1:
            raise InputError(
                f"Predicted: the network has {len(leaves)} outputs; wrap it so that it returns its logits alone."
            )
        return self.of(jnp.argmax(leaves[0], axis=-1).astype(jnp.int32))


def batch_axes(target: Target, output_rank: int) -> Any:
    """Return, as a tree like the target, 0 for every leaf that carries the images and None for every other.

    Args:
        target: The target; only the ranks of its leaves are read.
        output_rank: Number of axes of one example's output.
    """
    if not dataclasses.is_dataclass(target):
        return jax.tree.map(lambda entry: 0 if jnp.ndim(entry) else None, target)
    axes = {}
    for field in dataclasses.fields(target):
        if field.metadata.get("static"):
            continue
        value = getattr(target, field.name)
        rank = field.metadata.get("rank")
        if rank is None:
            axes[field.name] = (
                batch_axes(value, output_rank)
                if dataclasses.is_dataclass(value)
                else jax.tree.map(lambda entry: 0 if jnp.ndim(entry) else None, value)
            )
        else:
            ndim = output_rank - 1 if rank == "spatial" else rank
            axes[field.name] = 0 if jnp.ndim(value) == ndim + 1 else None
    return dataclasses.replace(target, **axes)  # type: ignore[type-var]


def _entry(output: Array, index: Array | int) -> Array:
    if output.ndim != 1:
        raise InputError(
            f"target: a class index needs a vector of outputs, got the shape {output.shape} for one example; "
            "use ClassMask or Point for maps of classes, Output(path, then) for structured outputs."
        )
    return _known(output, jnp.asarray(index))


def _known(output: Array, at: Any) -> Array:
    """Return entries of an output, NaN for those outside of it."""
    return output.at[at].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


def _over_space(where: str, mask: Array, output: Array) -> Array:
    mask = jnp.asarray(mask)
    if output.ndim < 2 or mask.shape != output.shape[:-1]:
        raise InputError(
            f"{where}: a mask of shape {mask.shape} does not fit an output {output.shape} of one example; "
            "it must have the output's axes but the last."
        )
    return mask.astype(output.dtype)


def _parts(output: PyTree) -> str:
    if isinstance(output, dict):
        return f"which has {list(output)}"
    return f"an array of shape {output.shape}" if isinstance(output, jax.Array) else f"a {type(output).__name__}"
