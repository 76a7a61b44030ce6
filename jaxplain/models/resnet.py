"""ResNets in Linen, at inference, built like the published PyTorch ones: same shapes, same padding, same names.

The parameters of ``layer1.0.conv1`` in torchvision are those of ``layer1/0/conv1`` here, and ``jaxplain.layers`` lists
the same paths. Strided convolutions pad both sides alike, as PyTorch does and ``"SAME"`` does not; batch normalization
is the affine map of its running statistics, with epsilon 1e-5. From 50 layers on the stride is in the 3x3 convolution.

He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition, arXiv:1512.03385.
"""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain.models.architecture import Architecture
from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import imagenet

Convolution = partial(nn.Conv, use_bias=False)
Normalization = partial(nn.BatchNorm, use_running_average=True, epsilon=1e-5)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: the block of ResNet-18 and ResNet-34.

    Attributes:
        width: Channels of both convolutions.
        stride: Of the first convolution and the shortcut.
    """

    width: int
    stride: int = 1
    expansion = 1

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        hidden = Convolution(self.width, (3, 3), self.stride, padding=1, name="conv1")(x)
        hidden = nn.relu(Normalization(name="bn1")(hidden))
        hidden = Convolution(self.width, (3, 3), padding=1, name="conv2")(hidden)
        hidden = Normalization(name="bn2")(hidden)
        return nn.relu(hidden + shortcut(x, self.width, self.stride))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1, beside a shortcut: the block of ResNet-50 and deeper ones.

    Attributes:
        width: Channels inside; four times as many leave the block.
        stride: Of the 3x3 convolution and the shortcut.
    """

    width: int
    stride: int = 1
    expansion = 4

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        hidden = nn.relu(Normalization(name="bn1")(Convolution(self.width, (1, 1), name="conv1")(x)))
        hidden = Convolution(self.width, (3, 3), self.stride, padding=1, name="conv2")(hidden)
        hidden = nn.relu(Normalization(name="bn2")(hidden))
        hidden = Convolution(4 * self.width, (1, 1), name="conv3")(hidden)
        hidden = Normalization(name="bn3")(hidden)
        return nn.relu(hidden + shortcut(x, 4 * self.width, self.stride))


class Stage(nn.Module):
    """Blocks of one width, the first of which may be strided.

    Attributes:
        block: ``BasicBlock`` or ``Bottleneck``.
        width: Channels inside the blocks.
        n_blocks: How many.
        stride: Of the first block.
    """

    block: type[nn.Module]
    width: int
    n_blocks: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        for number in range(self.n_blocks):
            x = self.block(self.width, self.stride if number == 0 else 1, name=str(number))(x)  # type: ignore[call-arg]
        return x


class ResNet(nn.Module):
    """The network: ``(batch, h, w, 3)`` to ``(batch, classes)`` logits.

    Attributes:
        block: ``BasicBlock`` or ``Bottleneck``.
        n_blocks: Blocks of each of the four stages.
        classes: Number of outputs.

    Example:
        >>> network = ResNet(BasicBlock, (1, 1, 1, 1), classes=5)
        >>> images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
        >>> variables = jax.eval_shape(network.init, jax.random.key(0), images)
        >>> jax.eval_shape(network.apply, variables, images).shape
        (2, 5)
    """

    block: type[nn.Module]
    n_blocks: Sequence[int]
    classes: int = 1000

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
        x = nn.relu(Normalization(name="bn1")(Convolution(64, (7, 7), 2, padding=3, name="conv1")(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for number, n_blocks in enumerate(self.n_blocks):
            stage = Stage(self.block, 64 * 2**number, n_blocks, 1 if number == 0 else 2, name=f"layer{number + 1}")
            x = stage(x)
        return nn.Dense(self.classes, name="fc")(jnp.mean(x, axis=(1, 2)))


def resnet18(*, classes: int = 1000) -> ResNet:
    """Return ResNet-18: 11.7 million parameters."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes)


def resnet34(*, classes: int = 1000) -> ResNet:
    """Return ResNet-34: 21.8 million parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), classes)


def resnet50(*, classes: int = 1000) -> ResNet:
    """Return ResNet-50: 25.6 million parameters."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes)


def resnet101(*, classes: int = 1000) -> ResNet:
    """Return ResNet-101: 44.5 million parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), classes)


class Shortcut(nn.Module):
    """The projection beside a block that changes its shape.

    Attributes:
        channels: That leave it.
        stride: Of its convolution, whose kernel is one position.
    """

    channels: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch *space c"]) -> Float[Array, "batch *space2 c2"]:
        return Normalization(name="1")(Convolution(self.channels, (1,) * (x.ndim - 2), self.stride, name="0")(x))


def shortcut(x: Array, channels: int, stride: int) -> Array:
    """Return x, projected where the block changes its shape; called inside a block, so the parameters are its own."""
    if stride == 1 and x.shape[-1] == channels:
        return x
    return Shortcut(channels, stride, name="downsample")(x)


# transformers/models/resnet/modeling_resnet.py
HUGGINGFACE = Naming(
    (
        (r"^resnet\.embedder\.embedder\.convolution\.", "conv1."),
        (r"^resnet\.embedder\.embedder\.normalization\.", "bn1."),
        (r"^resnet\.encoder\.stages\.(\d+)\.layers\.", lambda found: f"layer{int(found[1]) + 1}."),
        (r"\.layer\.(\d+)\.convolution\.", lambda found: f".conv{int(found[1]) + 1}."),
        (r"\.layer\.(\d+)\.normalization\.", lambda found: f".bn{int(found[1]) + 1}."),
        (r"\.shortcut\.convolution\.", ".downsample.0."),
        (r"\.shortcut\.normalization\.", ".downsample.1."),
        (r"^classifier\.1\.", "fc."),
    )
)
PREPROCESSING = {
    "torchvision": imagenet(256, 224, "bilinear", "torchvision IMAGENET1K_V1; its IMAGENET1K_V2 weights resize to 232"),
    "timm": imagenet(235, 224, "bicubic", "timm's default tags (a1_in1k, a1h_in1k): crop_pct 0.95 at 224"),
    "huggingface": imagenet(256, 224, "bicubic", "microsoft/resnet-*: shortest edge 224 / 0.875, resample 3"),
}

ENTRIES = tuple(
    Architecture(
        name=name,
        make=make,
        namings={"torchvision": Naming(), "timm": Naming(), "huggingface": HUGGINGFACE},
        preprocessing=PREPROCESSING,
        quiet=rf"^layer\d\.\d+\.{last}\.weight$",
    )
    for name, make, last in (
        ("resnet18", resnet18, "bn2"),
        ("resnet34", resnet34, "bn2"),
        ("resnet50", resnet50, "bn3"),
        ("resnet101", resnet101, "bn3"),
    )
)
