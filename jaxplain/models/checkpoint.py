"""Tensors of a PyTorch network, by their canonical names, as the variables of a Linen module, and back.

The path of a leaf decides the name: ``params/layer1/0/conv1/kernel`` is ``layer1.0.conv1.weight``. Its last part
decides the form:

- ``kernel`` of a convolution or a dense layer: ``weight``, whose first two axes, output and input, go last and swap:
  ``(o, i, h, w)`` to ``(h, w, i, o)``, ``(o, i)`` to ``(i, o)``. A transposed convolution stores ``(i, o, h, w)``,
  which becomes the ``(h, w, o, i)`` that Linen's ``ConvTranspose`` has with ``transpose_kernel=True``;
- ``scale`` of a normalization: ``weight``; ``mean`` and ``var`` of its statistics: ``running_mean``, ``running_var``;
- anything else: the same name and the same axes.

Axes of length one do not count, and the weight of a dense layer may have the shape of a convolution over its whole
input, as timm stores some. Floating numbers of any width become float32.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError

_SHOWN = 5
_WORDS = {"kernel": "weight", "scale": "weight"}
_STATISTICS = {"mean": "running_mean", "var": "running_var"}


class Misfits(NamedTuple):
    """What does not fit between a checkpoint and a network.

    Attributes:
        missing: Names and shapes that the network needs and the checkpoint lacks.
        extra: Names and shapes that the network does not know.
        misshapen: Names with the shape found and the shape needed.
    """

    missing: dict[str, tuple[int, ...]]
    extra: dict[str, tuple[int, ...]]
    misshapen: dict[str, tuple[str, tuple[int, ...]]]

    def text(self) -> str:
        """Return how many there are, and the first of each kind."""
        counts = [
            f"{len(found)} {word}"
            for found, word in ((self.missing, "missing"), (self.extra, "extra"), (self.misshapen, "of another shape"))
            if found
        ]
        lines = _first([f"missing: {name} {list(shape)}" for name, shape in self.missing.items()])
        lines += _first([f"extra: {name} {list(shape)}" for name, shape in self.extra.items()])
        lines += _first([f"{name}: {got}, expected {list(want)}" for name, (got, want) in self.misshapen.items()])
        return "\n  ".join([f"tensors that do not fit: {', '.join(counts)}.", *lines])


def tensor_shapes(variables: Any) -> dict[str, tuple[int, ...]]:
    """Return the canonical names of all tensors of a network, with their shapes in PyTorch.

    Args:
        variables: Collections of a Linen module: arrays or ``jax.ShapeDtypeStruct``.
    """
    return {name: _torch_shape(path, leaf.shape) for name, path, leaf in _named(variables)}


def misfits(variables: Any, tensors: Mapping[str, np.ndarray]) -> Misfits:
    """Compare the tensors of a checkpoint, by canonical names, with the variables that a network needs."""
    wanted = tensor_shapes(variables)
    return Misfits(
        {name: shape for name, shape in wanted.items() if name not in tensors},
        {name: tensor.shape for name, tensor in tensors.items() if name not in wanted},
        {
            name: (_kind(tensors[name]), shape)
            for name, shape in wanted.items()
            if name in tensors and not _fits(tensors[name], shape)
        },
    )


def variables_from(variables: Any, tensors: Mapping[str, np.ndarray], *, where: str = "checkpoint") -> Any:
    """Return the variables of a Linen module with the values of a checkpoint, in float32.

    Args:
        variables: What the module needs: arrays or ``jax.ShapeDtypeStruct``.
        tensors: The checkpoint, by canonical names.
        where: What the message begins with.

    Raises:
        InputError: Tensors are missing, extra or of another shape; all are counted, the first of each kind named.

    Example:
        >>> from flax import linen as nn
        >>> dense = jax.eval_shape(nn.Dense(2).init, jax.random.key(0), jnp.ones((1, 3)))
        >>> loaded = variables_from(dense, {"weight": np.ones((2, 3), np.float16), "bias": np.zeros(2)})
        >>> loaded["params"]["kernel"].shape, loaded["params"]["kernel"].dtype
        ((3, 2), dtype('float32'))
    """
    wrong = misfits(variables, tensors)
    if any(wrong):
        raise InputError(f"{where}: {wrong.text()}")
    leaves = []
    for name, path, leaf in _named(variables):
        tensor = np.reshape(tensors[name], _torch_shape(path, leaf.shape))
        axes = (*range(2, tensor.ndim), 1, 0) if path[-1] == "kernel" else None
        leaves.append(jnp.asarray(tensor if axes is None else tensor.transpose(axes), jnp.float32))
    return jax.tree.unflatten(jax.tree.structure(variables), leaves)


def tensors_from(variables: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a network by their canonical names, as PyTorch has them: the way back.

    Example:
        >>> tensors_from({"params": {"fc": {"kernel": np.ones((3, 2))}}})["fc.weight"].shape
        (2, 3)
    """
    found = {}
    for name, path, leaf in _named(variables):
        values = np.asarray(leaf)
        axes = (values.ndim - 1, values.ndim - 2, *range(values.ndim - 2))
        found[name] = np.array(values.transpose(axes) if path[-1] == "kernel" else values, order="C")
    return found


def _named(variables: Any) -> list[tuple[str, tuple[str, ...], Any]]:
    """Return canonical name, path and value of every leaf, in the order of the tree."""
    found = []
    for keys, leaf in jax.tree_util.tree_leaves_with_path(variables):
        collection, *path = (str(key.key) for key in keys)
        words = _STATISTICS if collection == "batch_stats" else _WORDS
        found.append((".".join([*path[:-1], words.get(path[-1], path[-1])]), tuple(path), leaf))
    return found


def _torch_shape(path: tuple[str, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[-1], shape[-2], *shape[:-2]) if path[-1] == "kernel" else tuple(shape)


def _fits(tensor: np.ndarray, shape: tuple[int, ...]) -> bool:
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        return False
    dense = len(shape) == 2 and tensor.ndim > 2 and tensor.shape[0] == shape[0] and tensor.size == np.prod(shape)
    return dense or [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]


def _kind(tensor: np.ndarray) -> str:
    kind = "" if jnp.issubdtype(tensor.dtype, jnp.floating) else f" {tensor.dtype}"
    return f"{list(tensor.shape)}{kind}"


def _first(lines: list[str]) -> list[str]:
    return lines[:_SHOWN] + ([f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])
