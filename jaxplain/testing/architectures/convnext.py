"""ConvNeXt-like: a patch stem and residual blocks of depthwise convolution, LayerNorm, GELU and layer scale.

Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, A ConvNet for the 2020s, arXiv:2201.03545.
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
WIDTH = 6
PATCH = 2


class LinenBlock(nn.Module):
    """Depthwise convolution, normalization, two dense layers around a GELU, scaled, beside a shortcut."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        hidden = nn.Conv(WIDTH, (5, 5), feature_group_count=WIDTH, name="depthwise")(x)
        hidden = nn.Dense(2 * WIDTH, name="expand")(nn.LayerNorm(name="norm")(hidden))
        hidden = nn.Dense(WIDTH, name="reduce")(nn.gelu(hidden))
        layer_scale = self.param("layer_scale", nn.initializers.ones, (1, 1, 1, WIDTH))
        return x + layer_scale * hidden


class LinenConvNeXt(nn.Module):
    """The network in Linen."""

    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        block = nn.remat(LinenBlock) if self.remat else LinenBlock
        x = nn.LayerNorm(name="stem_norm")(nn.Conv(WIDTH, (PATCH, PATCH), PATCH, name="stem")(x))
        x = checkpoint_name(block(name="block2")(block(name="block1")(x)), FEATURES)
        return nn.Dense(CLASSES, name="head")(nn.LayerNorm(name="norm")(x.mean((1, 2))))


class NnxBlock(nnx.Module):
    """Depthwise convolution, normalization, two dense layers around a GELU, scaled, beside a shortcut."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.depthwise = nnx.Conv(WIDTH, WIDTH, (5, 5), feature_group_count=WIDTH, rngs=rngs)
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.expand = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.reduce = nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)
        self.layer_scale = nnx.Param(jax.numpy.ones((1, 1, 1, WIDTH)))

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        hidden = self.expand(self.norm(self.depthwise(x)))
        return x + self.layer_scale[...] * self.reduce(nnx.gelu(hidden))


class NnxConvNeXt(nnx.Module):
    """The network in NNX."""

    def __init__(self, *, remat: bool = False, rngs: nnx.Rngs) -> None:
        self.remat = remat
        self.stem = nnx.Conv(SHAPE[-1], WIDTH, (PATCH, PATCH), PATCH, rngs=rngs)
        self.stem_norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.block1, self.block2 = NnxBlock(rngs=rngs), NnxBlock(rngs=rngs)
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        x = self.stem_norm(self.stem(x))
        for block in (self.block1, self.block2):
            x = called(block, x, remat=self.remat)
        return self.head(self.norm(checkpoint_name(x, FEATURES).mean((1, 2))))


def block(weights: PyTree, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Apply one block."""
    hidden = bare.convolution(weights["depthwise"], x, groups=WIDTH)
    hidden = bare.dense(weights["expand"], bare.layer_norm(weights["norm"], hidden))
    return x + weights["layer_scale"] * bare.dense(weights["reduce"], jax.nn.gelu(hidden))


def convnext(
    weights: PyTree, x: Float[Array, "b h w c"], *, remat: bool = False, scan: bool = False
) -> Float[Array, "b classes"]:
    """Apply the network as a bare function."""
    x = bare.layer_norm(weights["stem_norm"], bare.convolution(weights["stem"], x, PATCH))
    x = bare.chain(block, (weights["block1"], weights["block2"]), x, remat=remat, scan=scan)
    x = bare.layer_norm(weights["norm"], bare.global_mean(checkpoint_name(x, FEATURES)))
    return bare.dense(weights["head"], x)


CONVNEXT = Architecture("convnext", SHAPE, LinenConvNeXt, NnxConvNeXt, convnext, scans=True)
