"""VGG-like: stages of two convolutions and a max-pooling, and two dense layers.

Simonyan and Zisserman 2014, Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556.
"""

import flax.linen as nn
import jax
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxplain._typing import PyTree
from jaxplain.testing.architectures import bare
from jaxplain.testing.architectures.architecture import CLASSES, FEATURES, Architecture, called

SHAPE = (12, 12, 3)
WIDTHS = (4, 6)
HIDDEN = 8


class LinenStage(nn.Module):
    """Two convolutions with ReLU and a max-pooling."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        x = nn.relu(nn.Conv(self.width, (3, 3), name="conv1")(x))
        x = nn.relu(nn.Conv(self.width, (3, 3), name="conv2")(x))
        return nn.max_pool(x, (2, 2), (2, 2))


class LinenVGG(nn.Module):
    """The network in Linen."""

    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        stage = nn.remat(LinenStage) if self.remat else LinenStage
        x = stage(WIDTHS[0], name="stage1")(x)
        x = checkpoint_name(stage(WIDTHS[1], name="stage2")(x), FEATURES)
        x = nn.relu(nn.Dense(HIDDEN, name="hidden")(x.reshape(x.shape[0], -1)))
        return nn.Dense(CLASSES, name="head")(x)


class NnxStage(nnx.Module):
    """Two convolutions with ReLU and a max-pooling."""

    def __init__(self, before: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(before, width, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(width, width, (3, 3), rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        return nnx.max_pool(nnx.relu(self.conv2(nnx.relu(self.conv1(x)))), (2, 2), (2, 2))


class NnxVGG(nnx.Module):
    """The network in NNX."""

    def __init__(self, *, remat: bool = False, rngs: nnx.Rngs) -> None:
        self.remat = remat
        self.stage1 = NnxStage(SHAPE[-1], WIDTHS[0], rngs=rngs)
        self.stage2 = NnxStage(WIDTHS[0], WIDTHS[1], rngs=rngs)
        self.hidden = nnx.Linear(3 * 3 * WIDTHS[1], HIDDEN, rngs=rngs)
        self.head = nnx.Linear(HIDDEN, CLASSES, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        x = called(self.stage1, x, remat=self.remat)
        x = checkpoint_name(called(self.stage2, x, remat=self.remat), FEATURES)
        return self.head(nnx.relu(self.hidden(x.reshape(x.shape[0], -1))))


def stage(weights: PyTree, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
    """Apply two convolutions with ReLU and a max-pooling."""
    x = jax.nn.relu(bare.convolution(weights["conv1"], x))
    return bare.max_pool(jax.nn.relu(bare.convolution(weights["conv2"], x)))


def vgg(weights: PyTree, x: Float[Array, "b h w c"], *, remat: bool = False) -> Float[Array, "b classes"]:
    """Apply the network as a bare function."""
    x = bare.chain(stage, (weights["stage1"], weights["stage2"]), x, remat=remat)
    x = checkpoint_name(x, FEATURES)
    x = jax.nn.relu(bare.dense(weights["hidden"], x.reshape(x.shape[0], -1)))
    return bare.dense(weights["head"], x)


VGG = Architecture("vgg", SHAPE, LinenVGG, NnxVGG, vgg, frozenset({"relu"}))
