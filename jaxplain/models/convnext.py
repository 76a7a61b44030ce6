"""ConvNeXt in Linen, at inference, built like the published PyTorch one: same numbers, same names.

The parameters of ``features.1.0.block.0`` in torchvision are those of ``features/1/0/block/0`` here. Every odd
``features/n`` is a stage of blocks, every even one halves the resolution. GELU is the exact one.

Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022, A ConvNet for the 2020s, arXiv:2201.03545.
"""

import re
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain.models.architecture import Architecture
from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import imagenet


class Inner(nn.Module):
    """A depthwise 7x7 convolution, a normalization, and two dense layers around a GELU."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        width = x.shape[-1]
        x = nn.Conv(width, (7, 7), padding=3, feature_group_count=width, name="0")(x)
        x = nn.Dense(4 * width, name="3")(nn.LayerNorm(1e-6, name="2")(x))
        return nn.Dense(width, name="5")(nn.gelu(x, approximate=False))


class Block(nn.Module):
    """The inner layers, scaled by channel, beside a shortcut."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        layer_scale = self.param("layer_scale", nn.initializers.constant(1e-6), (x.shape[-1], 1, 1))
        return x + layer_scale.reshape(1, 1, 1, -1) * Inner(name="block")(x)


class Stage(nn.Module):
    """Blocks at one resolution.

    Attributes:
        n_blocks: How many.
    """

    n_blocks: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        for number in range(self.n_blocks):
            x = Block(name=str(number))(x)
        return x


class Stem(nn.Module):
    """A convolution of patches 4x4, normalized.

    Attributes:
        width: Channels that leave it.
    """

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        return nn.LayerNorm(1e-6, name="1")(nn.Conv(self.width, (4, 4), 4, padding="VALID", name="0")(x))


class Downsampling(nn.Module):
    """A normalization and a convolution of patches 2x2.

    Attributes:
        width: Channels that leave it.
    """

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        return nn.Conv(self.width, (2, 2), 2, padding="VALID", name="1")(nn.LayerNorm(1e-6, name="0")(x))


class Features(nn.Module):
    """All layers before the average over space.

    Attributes:
        n_blocks: Blocks of each stage.
        widths: Channels of each stage.
    """

    n_blocks: Sequence[int]
    widths: Sequence[int]

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        for number, (n_blocks, width) in enumerate(zip(self.n_blocks, self.widths, strict=True)):
            reducing = Downsampling if number else Stem
            x = Stage(n_blocks, name=str(2 * number + 1))(reducing(width, name=str(2 * number))(x))
        return x


class Classifier(nn.Module):
    """A normalization and a dense layer.

    Attributes:
        classes: Number of outputs.
        epsilon: Of the normalization.
    """

    classes: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "batch c"]) -> Float[Array, "batch classes"]:
        return nn.Dense(self.classes, name="2")(nn.LayerNorm(self.epsilon, name="0")(x))


class ConvNeXt(nn.Module):
    """The network: ``(batch, h, w, 3)`` to ``(batch, classes)`` logits.

    Attributes:
        n_blocks: Blocks of each stage.
        widths: Channels of each stage.
        classes: Number of outputs.
        epsilon: Of the last normalization: 1e-6, except that the networks of Hugging Face have 1e-12.

    Example:
        >>> import jax
        >>> network = ConvNeXt((1, 2), (4, 8), classes=5)
        >>> images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
        >>> variables = jax.eval_shape(network.init, jax.random.key(0), images)
        >>> jax.eval_shape(network.apply, variables, images).shape
        (2, 5)
    """

    n_blocks: Sequence[int]
    widths: Sequence[int]
    classes: int = 1000
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
        x = Features(self.n_blocks, self.widths, name="features")(x)
        return Classifier(self.classes, self.epsilon, name="classifier")(jnp.mean(x, axis=(1, 2)))


def convnext_tiny(*, classes: int = 1000, epsilon: float = 1e-6) -> ConvNeXt:
    """Return ConvNeXt-T: 28.6 million parameters."""
    return ConvNeXt((3, 3, 9, 3), (96, 192, 384, 768), classes, epsilon)


def _stage(found: re.Match[str]) -> str:
    return f"features.{2 * int(found[1]) + 1}."


def _downsampling(found: re.Match[str]) -> str:
    return f"features.{2 * int(found[1])}."


# timm/models/convnext.py; networks with a norm_pre normalize before the average and are others.
TIMM = Naming(
    (
        (r"^stem\.", "features.0."),
        (r"^stages\.(\d+)\.downsample\.", _downsampling),
        (r"^stages\.(\d+)\.blocks\.", _stage),
        (r"\.conv_dw\.", ".block.0."),
        (r"(^features\.\d+\.\d+)\.norm\.", r"\1.block.2."),
        (r"\.mlp\.fc1\.", ".block.3."),
        (r"\.mlp\.fc2\.", ".block.5."),
        (r"\.gamma$", ".layer_scale"),
        (r"^head\.norm\.", "classifier.0."),
        (r"^head\.fc\.", "classifier.2."),
    )
)
# transformers/models/convnext/modeling_convnext.py
HUGGINGFACE = Naming(
    (
        (r"^convnext\.embeddings\.patch_embeddings\.", "features.0.0."),
        (r"^convnext\.embeddings\.layernorm\.", "features.0.1."),
        (r"^convnext\.encoder\.stages\.(\d+)\.downsampling_layer\.", _downsampling),
        (r"^convnext\.encoder\.stages\.(\d+)\.layers\.", _stage),
        (r"\.dwconv\.", ".block.0."),
        (r"(^features\.\d+\.\d+)\.layernorm\.", r"\1.block.2."),
        (r"\.pwconv1\.", ".block.3."),
        (r"\.pwconv2\.", ".block.5."),
        (r"\.layer_scale_parameter$", ".layer_scale"),
        (r"^classifier\.", "classifier.2."),
        (r"^convnext\.layernorm\.", "classifier.0."),
    ),
    options={"epsilon": 1e-12},
)
# facebookresearch/ConvNeXt, models/convnext.py
ORIGINAL = Naming(
    (
        (r"^downsample_layers\.(\d+)\.", _downsampling),
        (r"^stages\.(\d+)\.", _stage),
        (r"\.dwconv\.", ".block.0."),
        (r"(^features\.\d+\.\d+)\.norm\.", r"\1.block.2."),
        (r"\.pwconv1\.", ".block.3."),
        (r"\.pwconv2\.", ".block.5."),
        (r"\.gamma$", ".layer_scale"),
        (r"^norm\.", "classifier.0."),
        (r"^head\.", "classifier.2."),
    )
)

ENTRIES = (
    Architecture(
        name="convnext_tiny",
        make=convnext_tiny,
        namings={"torchvision": Naming(), "timm": TIMM, "huggingface": HUGGINGFACE, "original": ORIGINAL},
        preprocessing={
            "torchvision": imagenet(236, 224, "bilinear", "torchvision IMAGENET1K_V1 of convnext_tiny"),
            "timm": imagenet(256, 224, "bicubic", "timm's fb_in1k: crop_pct 0.875 at 224; 0.95 for in12k_ft_in1k"),
            "huggingface": imagenet(256, 224, "bicubic", "facebook/convnext-tiny-224: crop_pct 0.875, resample 3"),
            "original": imagenet(256, 224, "bicubic", "facebookresearch/ConvNeXt: crop_pct 224 / 256"),
        },
        head="classifier.2",
        quiet=r"\.layer_scale$",
    ),
)
