"""A small convolutional network, in Linen and in NNX: the network of the demo, the examples and the tests.

Three 3x3 convolutions, two of them strided, and one dense layer; the last convolution (``conv3``) keeps a quarter of
the input's resolution, which is what Grad-CAM shows. At 28x28 pixels: 0.8 million multiplications per image.
The layers have the same names in both frameworks, so that `nnx_twin` can carry weights across.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxplain.adapters.linen import from_linen
from jaxplain.core.model import Model

CHANNELS = (16, 32, 32)
STRIDES = (2, 2, 1)


class SmallCNN(nn.Module):
    """The network in Linen: ``(batch, h, w, c)`` to ``(batch, classes)`` logits.

    Attributes:
        classes: Number of outputs.

    Example:
        >>> network = SmallCNN(classes=3)
        >>> variables = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
        >>> network.apply(variables, jnp.zeros((2, 8, 8, 1))).shape
        (2, 3)
    """

    classes: int = 10

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
        for number, (channels, stride) in enumerate(zip(CHANNELS, STRIDES, strict=True), start=1):
            x = nn.relu(nn.Conv(channels, (3, 3), (stride, stride), name=f"conv{number}")(x))
        return nn.Dense(self.classes, name="head")(x.reshape(x.shape[0], -1))


class NNXSmallCNN(nnx.Module):
    """The network in NNX; the input's shape is needed to size the dense layer.

    Example:
        >>> network = NNXSmallCNN((8, 8, 1), classes=3, rngs=nnx.Rngs(0))
        >>> network(jnp.zeros((2, 8, 8, 1))).shape
        (2, 3)
    """

    def __init__(self, shape: tuple[int, int, int], *, classes: int = 10, rngs: nnx.Rngs) -> None:
        height, width, before = shape
        for number, (channels, stride) in enumerate(zip(CHANNELS, STRIDES, strict=True), start=1):
            setattr(self, f"conv{number}", nnx.Conv(before, channels, (3, 3), (stride, stride), rngs=rngs))
            height, width, before = -(-height // stride), -(-width // stride), channels
        self.head = nnx.Linear(height * width * before, classes, rngs=rngs)

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
        for convolution in (self.conv1, self.conv2, self.conv3):
            x = nnx.relu(convolution(x))
        return self.head(x.reshape(x.shape[0], -1))


def nnx_twin(variables: Mapping[str, Any], shape: tuple[int, int, int]) -> NNXSmallCNN:
    """Build the NNX network that carries the weights of a Linen `SmallCNN`.

    Args:
        variables: What ``SmallCNN.init`` or a checkpoint of it holds.
        shape: One example's ``(h, w, c)``.

    Returns:
        A network whose logits equal those of the Linen network.
    """
    weights = variables["params"]
    twin = NNXSmallCNN(shape, classes=weights["head"]["bias"].shape[0], rngs=nnx.Rngs(0))
    for layer, arrays in weights.items():
        for name, values in arrays.items():
            getattr(getattr(twin, layer), name)[...] = jnp.asarray(values)
    return twin


def small_cnn_variables(shape: Sequence[int], *, classes: int = 10, seed: int = 0) -> dict[str, Any]:
    """Random initial variables of the Linen network, from a fixed seed."""
    return dict(SmallCNN(classes).init(jax.random.key(seed), jnp.zeros((1, *shape))))


def small_cnn(shape: Sequence[int], *, classes: int = 10, seed: int = 0) -> Model:
    """The Linen network as a model, with random weights that a checkpoint replaces: what a job names as its factory.

    Args:
        shape: One example's ``(h, w, c)``; a list, as a job file has it, serves too.
        classes: Number of outputs.
        seed: Of the random weights.

    Example:
        >>> small_cnn((8, 8, 1), classes=3)(jnp.zeros((2, 8, 8, 1))).shape
        (2, 3)
    """
    return from_linen(SmallCNN(classes), small_cnn_variables(shape, classes=classes, seed=seed))
