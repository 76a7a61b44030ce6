"""U-Nets in two and three dimensions: one level, a skip connection, a score per class by the mean over space.

The tagged layer is the bottom, at half the resolution. Ronneberger, Fischer and Brox 2015, U-Net, arXiv:1505.04597;
Cicek et al. 2016, 3D U-Net, arXiv:1606.06650.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxplain._typing import PyTree
from jaxplain.testing.architectures import bare
from jaxplain.testing.architectures.architecture import CLASSES, FEATURES, Architecture, called

SHAPE_2D = (12, 10, 2)
SHAPE_3D = (8, 6, 8, 1)
WIDTH = 4


class LinenBlock(nn.Module):
    """A convolution and its ReLU."""

    width: int
    dims: int

    @nn.compact
    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *space c2"]:
        return nn.relu(nn.Conv(self.width, (3,) * self.dims, name="conv")(x))


class LinenUNet(nn.Module):
    """The network in Linen."""

    shape: tuple[int, ...]
    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b classes"]:
        dims = len(self.shape) - 1
        twos = (2,) * dims
        block = partial(nn.remat(LinenBlock) if self.remat else LinenBlock, dims=dims)
        skip = block(WIDTH, name="down")(x)
        x = checkpoint_name(block(2 * WIDTH, name="bottom")(nn.max_pool(skip, twos, twos)), FEATURES)
        x = nn.ConvTranspose(WIDTH, twos, twos, name="up")(x)
        x = block(WIDTH, name="merge")(jnp.concatenate([skip, x], axis=-1))
        return nn.Conv(CLASSES, (1,) * dims, name="head")(x).mean(range(1, dims + 1))


class NnxBlock(nnx.Module):
    """A convolution and its ReLU."""

    def __init__(self, before: int, width: int, dims: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(before, width, (3,) * dims, rngs=rngs)

    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *space c2"]:
        return nnx.relu(self.conv(x))


class NnxUNet(nnx.Module):
    """The network in NNX."""

    def __init__(self, shape: tuple[int, ...], *, remat: bool = False, rngs: nnx.Rngs) -> None:
        self.dims = dims = len(shape) - 1
        self.remat = remat
        self.down = NnxBlock(shape[-1], WIDTH, dims, rngs=rngs)
        self.bottom = NnxBlock(WIDTH, 2 * WIDTH, dims, rngs=rngs)
        self.up = nnx.ConvTranspose(2 * WIDTH, WIDTH, (2,) * dims, (2,) * dims, rngs=rngs)
        self.merge = NnxBlock(2 * WIDTH, WIDTH, dims, rngs=rngs)
        self.head = nnx.Conv(WIDTH, CLASSES, (1,) * dims, rngs=rngs)

    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b classes"]:
        twos = (2,) * self.dims
        skip = called(self.down, x, remat=self.remat)
        x = called(self.bottom, nnx.max_pool(skip, twos, twos), remat=self.remat)
        x = self.up(checkpoint_name(x, FEATURES))
        x = called(self.merge, jnp.concatenate([skip, x], axis=-1), remat=self.remat)
        return self.head(x).mean(range(1, self.dims + 1))


def block(weights: PyTree, x: Float[Array, "b *space c"]) -> Float[Array, "b *space c2"]:
    """Apply a convolution and its ReLU."""
    return jax.nn.relu(bare.convolution(weights["conv"], x))


def unet(weights: PyTree, x: Float[Array, "b *space c"], *, remat: bool = False) -> Float[Array, "b classes"]:
    """Apply the network as a bare function."""
    skip = bare.chain(block, (weights["down"],), x, remat=remat)
    x = bare.chain(block, (weights["bottom"],), bare.max_pool(skip), remat=remat)
    x = bare.transposed_convolution(weights["up"], checkpoint_name(x, FEATURES), 2)
    x = bare.chain(block, (weights["merge"],), jnp.concatenate([skip, x], axis=-1), remat=remat)
    return bare.global_mean(bare.convolution(weights["head"], x))


def _unet(name: str, shape: tuple[int, ...]) -> Architecture:
    linen, of_nnx = partial(LinenUNet, shape), partial(NnxUNet, shape)
    return Architecture(name, shape, linen, of_nnx, unet, frozenset({"relu"}))


UNET_2D = _unet("unet_2d", SHAPE_2D)
UNET_3D = _unet("unet_3d", SHAPE_3D)
