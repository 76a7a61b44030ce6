"""Plain convolutions with ReLU and one dense layer."""

import flax.linen as nn
import jax
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxplain._typing import PyTree
from jaxplain.testing.architectures import bare
from jaxplain.testing.architectures.architecture import CLASSES, FEATURES, Architecture, called

SHAPE = (12, 10, 2)
WIDTHS = (4, 6)
STRIDE = 2


class LinenBlock(nn.Module):
    """A strided convolution and its ReLU."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        return nn.relu(nn.Conv(self.width, (3, 3), STRIDE, name="conv")(x))


class LinenPlainConv(nn.Module):
    """The network in Linen."""

    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        block = nn.remat(LinenBlock) if self.remat else LinenBlock
        x = block(WIDTHS[0], name="block1")(x)
        x = checkpoint_name(block(WIDTHS[1], name="block2")(x), FEATURES)
        return nn.Dense(CLASSES, name="head")(x.reshape(x.shape[0], -1))


class NnxBlock(nnx.Module):
    """A strided convolution and its ReLU."""

    def __init__(self, before: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(before, width, (3, 3), STRIDE, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        return nnx.relu(self.conv(x))


class NnxPlainConv(nnx.Module):
    """The network in NNX."""

    def __init__(self, *, remat: bool = False, rngs: nnx.Rngs) -> None:
        self.remat = remat
        self.block1 = NnxBlock(SHAPE[-1], WIDTHS[0], rngs=rngs)
        self.block2 = NnxBlock(WIDTHS[0], WIDTHS[1], rngs=rngs)
        self.head = nnx.Linear(3 * 3 * WIDTHS[1], CLASSES, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        x = called(self.block1, x, remat=self.remat)
        x = checkpoint_name(called(self.block2, x, remat=self.remat), FEATURES)
        return self.head(x.reshape(x.shape[0], -1))


def block(weights: PyTree, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
    """Apply a strided convolution and its ReLU."""
    return jax.nn.relu(bare.convolution(weights["conv"], x, STRIDE))


def plain_conv(weights: PyTree, x: Float[Array, "b h w c"], *, remat: bool = False) -> Float[Array, "b classes"]:
    """Apply the network as a bare function."""
    x = bare.chain(block, (weights["block1"], weights["block2"]), x, remat=remat)
    x = checkpoint_name(x, FEATURES)
    return bare.dense(weights["head"], x.reshape(x.shape[0], -1))


PLAIN_CONV = Architecture("plain_conv", SHAPE, LinenPlainConv, NnxPlainConv, plain_conv, frozenset({"relu"}))
