"""ResNet-like: batch normalization, two equal blocks, and one that is strided and projected.

He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition, arXiv:1512.03385.
"""

from functools import partial

import flax.linen as nn
import jax
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxplain._typing import PyTree
from jaxplain.testing.architectures import bare
from jaxplain.testing.architectures.architecture import CLASSES, FEATURES, Architecture, called

SHAPE = (12, 10, 3)
WIDTH = 4

LinenConv = partial(nn.Conv, use_bias=False)
LinenNorm = partial(nn.BatchNorm, use_running_average=True, epsilon=1e-5)
NnxConv = partial(nnx.Conv, use_bias=False)
NnxNorm = partial(nnx.BatchNorm, use_running_average=True, epsilon=1e-5)


class LinenBlock(nn.Module):
    """Two convolutions beside a shortcut, which is projected where the stride is not 1."""

    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        hidden = nn.relu(LinenNorm(name="bn1")(LinenConv(self.width, (3, 3), self.stride, name="conv1")(x)))
        hidden = LinenNorm(name="bn2")(LinenConv(self.width, (3, 3), name="conv2")(hidden))
        if self.stride > 1:
            x = LinenNorm(name="bn3")(LinenConv(self.width, (1, 1), self.stride, name="projection")(x))
        return nn.relu(x + hidden)


class LinenResNet(nn.Module):
    """The network in Linen."""

    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        block = nn.remat(LinenBlock) if self.remat else LinenBlock
        x = nn.relu(LinenNorm(name="bn")(LinenConv(WIDTH, (3, 3), name="stem")(x)))
        x = block(WIDTH, name="block2")(block(WIDTH, name="block1")(x))
        x = checkpoint_name(block(2 * WIDTH, 2, name="block3")(x), FEATURES)
        return nn.Dense(CLASSES, name="head")(x.mean((1, 2)))


class NnxBlock(nnx.Module):
    """Two convolutions beside a shortcut, which is projected where the stride is not 1."""

    def __init__(self, before: int, width: int, stride: int = 1, *, rngs: nnx.Rngs) -> None:
        self.stride = stride
        self.conv1 = NnxConv(before, width, (3, 3), stride, rngs=rngs)
        self.bn1 = NnxNorm(width, rngs=rngs)
        self.conv2 = NnxConv(width, width, (3, 3), rngs=rngs)
        self.bn2 = NnxNorm(width, rngs=rngs)
        if stride > 1:
            self.projection = NnxConv(before, width, (1, 1), stride, rngs=rngs)
            self.bn3 = NnxNorm(width, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
        hidden = self.bn2(self.conv2(nnx.relu(self.bn1(self.conv1(x)))))
        shortcut = self.bn3(self.projection(x)) if self.stride > 1 else x
        return nnx.relu(shortcut + hidden)


class NnxResNet(nnx.Module):
    """The network in NNX."""

    def __init__(self, *, remat: bool = False, rngs: nnx.Rngs) -> None:
        self.remat = remat
        self.stem = NnxConv(SHAPE[-1], WIDTH, (3, 3), rngs=rngs)
        self.bn = NnxNorm(WIDTH, rngs=rngs)
        self.block1 = NnxBlock(WIDTH, WIDTH, rngs=rngs)
        self.block2 = NnxBlock(WIDTH, WIDTH, rngs=rngs)
        self.block3 = NnxBlock(WIDTH, 2 * WIDTH, 2, rngs=rngs)
        self.head = nnx.Linear(2 * WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        x = nnx.relu(self.bn(self.stem(x)))
        for block in (self.block1, self.block2, self.block3):
            x = called(block, x, remat=self.remat)
        return self.head(checkpoint_name(x, FEATURES).mean((1, 2)))


def block(weights: PyTree, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c2"]:
    """Apply two convolutions beside a shortcut; where there is a projection, the stride is 2."""
    stride = 2 if "projection" in weights else 1
    hidden = bare.batch_norm(weights["bn1"], bare.convolution(weights["conv1"], x, stride))
    hidden = bare.batch_norm(weights["bn2"], bare.convolution(weights["conv2"], jax.nn.relu(hidden)))
    if stride > 1:
        x = bare.batch_norm(weights["bn3"], bare.convolution(weights["projection"], x, stride))
    return jax.nn.relu(x + hidden)


def resnet(
    weights: PyTree, x: Float[Array, "b h w c"], *, remat: bool = False, scan: bool = False
) -> Float[Array, "b classes"]:
    """Apply the network as a bare function."""
    x = jax.nn.relu(bare.batch_norm(weights["bn"], bare.convolution(weights["stem"], x)))
    x = bare.chain(block, (weights["block1"], weights["block2"]), x, remat=remat, scan=scan)
    x = bare.chain(block, (weights["block3"],), x, remat=remat)
    return bare.dense(weights["head"], bare.global_mean(checkpoint_name(x, FEATURES)))


RESNET = Architecture("resnet", SHAPE, LinenResNet, NnxResNet, resnet, frozenset({"relu"}), scans=True)
