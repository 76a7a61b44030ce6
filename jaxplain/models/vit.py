"""Vision transformers in Linen, at inference, built like the published PyTorch ones: same numbers, same names.

The parameters of ``encoder.layers.encoder_layer_0.mlp.0`` in torchvision are those of
``encoder/layers/encoder_layer_0/mlp/0`` here. Queries, keys and values come from one matrix,
``self_attention/in_proj_weight``, stored as PyTorch does, outputs first. GELU is the exact one, and softmax is written
out between two products, which is what attention rollout looks for. The images' size fixes the number of position
embeddings.

Dosovitskiy et al. 2021, An image is worth 16x16 words, arXiv:2010.11929; Touvron et al. 2021, Training data-efficient
image transformers, arXiv:2012.12877.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxplain._errors import InputError
from jaxplain.models.architecture import Architecture
from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import Preprocessing, imagenet

EMBEDDING = nn.initializers.normal(0.02)
JOINT = nn.initializers.lecun_normal(in_axis=1, out_axis=0)


class SelfAttention(nn.Module):
    """Multi-head attention of the tokens to each other.

    Attributes:
        heads: How many; they divide the channels among them.
    """

    heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch token c"]) -> Float[Array, "batch token c"]:
        channels = x.shape[-1]
        width = channels // self.heads
        weight = self.param("in_proj_weight", JOINT, (3 * channels, channels))
        bias = self.param("in_proj_bias", nn.initializers.zeros, (3 * channels,))
        joint = lax.dot_general(x, weight, (((2,), (1,)), ((), ()))) + bias.reshape(1, 1, -1)
        joint = joint.reshape(*x.shape[:2], 3, self.heads, width)
        query, key, value = (joint[:, :, number] for number in range(3))
        logits = jnp.einsum("bqhd,bkhd->bhqk", query * (1 / math.sqrt(width)), key)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), value)
        return nn.Dense(channels, name="out_proj")(mixed.reshape(x.shape))


class MLP(nn.Module):
    """Two dense layers around a GELU, four times as wide inside."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch token c"]) -> Float[Array, "batch token c"]:
        hidden = nn.gelu(nn.Dense(4 * x.shape[-1], name="0")(x), approximate=False)
        return nn.Dense(x.shape[-1], name="3")(hidden)


class EncoderBlock(nn.Module):
    """Self-attention and two dense layers, each normalized first and beside a shortcut.

    Attributes:
        heads: Of the attention.
        epsilon: Of the normalizations.
    """

    heads: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "batch token c"]) -> Float[Array, "batch token c"]:
        x = x + SelfAttention(self.heads, name="self_attention")(nn.LayerNorm(self.epsilon, name="ln_1")(x))
        return x + MLP(name="mlp")(nn.LayerNorm(self.epsilon, name="ln_2")(x))


class Layers(nn.Module):
    """The blocks, one after the other.

    Attributes:
        depth: How many.
        heads: Of each attention.
        epsilon: Of the normalizations.
    """

    depth: int
    heads: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "batch token c"]) -> Float[Array, "batch token c"]:
        for number in range(self.depth):
            x = EncoderBlock(self.heads, self.epsilon, name=f"encoder_layer_{number}")(x)
        return x


class Encoder(nn.Module):
    """Position embeddings, the blocks and a last normalization.

    Attributes:
        depth: Number of blocks.
        heads: Of each attention.
        epsilon: Of the normalizations.
    """

    depth: int
    heads: int
    epsilon: float

    @nn.compact
    def __call__(self, x: Float[Array, "batch token c"]) -> Float[Array, "batch token c"]:
        x = x + self.param("pos_embedding", EMBEDDING, (1, *x.shape[1:]))
        x = Layers(self.depth, self.heads, self.epsilon, name="layers")(x)
        return nn.LayerNorm(self.epsilon, name="ln")(x)


class Heads(nn.Module):
    """The classifier.

    Attributes:
        classes: Number of outputs.
    """

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch c"]) -> Float[Array, "batch classes"]:
        return nn.Dense(self.classes, name="head")(x)


class VisionTransformer(nn.Module):
    """The network: ``(batch, h, w, 3)`` to ``(batch, classes)`` logits, read from a class token in front.

    Attributes:
        width: Channels of a token.
        heads: Of each attention; they divide the channels.
        depth: Number of blocks.
        classes: Number of outputs.
        patch: Side of a patch in pixels; it divides the height and the width of the images.
        epsilon: Of the normalizations: 1e-6, except that the networks of Hugging Face have 1e-12.

    Example:
        >>> network = VisionTransformer(width=8, heads=2, depth=1, classes=5)
        >>> images = jax.ShapeDtypeStruct((2, 32, 48, 3), jnp.float32)
        >>> variables = jax.eval_shape(network.init, jax.random.key(0), images)
        >>> variables["params"]["encoder"]["pos_embedding"].shape
        (1, 7, 8)
        >>> jax.eval_shape(network.apply, variables, images).shape
        (2, 5)
    """

    width: int
    heads: int
    depth: int = 12
    classes: int = 1000
    patch: int = 16
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
        if any(side % self.patch for side in x.shape[1:3]):
            raise InputError(
                f"VisionTransformer: images of {x.shape[1]} x {x.shape[2]} do not divide into patches of {self.patch} "
                f"x {self.patch}; resize them to multiples of {self.patch}."
            )
        patches = nn.Conv(self.width, (self.patch,) * 2, self.patch, padding="VALID", name="conv_proj")(x)
        class_token = self.param("class_token", EMBEDDING, (1, 1, self.width))
        class_token = jnp.broadcast_to(class_token, (x.shape[0], 1, self.width))
        x = jnp.concatenate([class_token, patches.reshape(x.shape[0], -1, self.width)], axis=1)
        x = Encoder(self.depth, self.heads, self.epsilon, name="encoder")(x)
        return Heads(self.classes, name="heads")(x[:, 0])


def vit_b_16(*, classes: int = 1000, epsilon: float = 1e-6) -> VisionTransformer:
    """Return ViT-B/16: 86.6 million parameters at 224x224."""
    return VisionTransformer(768, 12, classes=classes, epsilon=epsilon)


def vit_s_16(*, classes: int = 1000, epsilon: float = 1e-6) -> VisionTransformer:
    """Return ViT-S/16: 22.1 million parameters at 224x224."""
    return VisionTransformer(384, 6, classes=classes, epsilon=epsilon)


def deit_s_16(*, classes: int = 1000, epsilon: float = 1e-6) -> VisionTransformer:
    """Return DeiT-S/16 without a distillation token: ViT-S/16 with other weights and preprocessing."""
    return vit_s_16(classes=classes, epsilon=epsilon)


def deit_t_16(*, classes: int = 1000, epsilon: float = 1e-6) -> VisionTransformer:
    """Return DeiT-T/16 without a distillation token: 5.7 million parameters at 224x224."""
    return VisionTransformer(192, 3, classes=classes, epsilon=epsilon)


# Checkpoints from before torchvision 0.13 call the dense layers linear_1 and linear_2.
TORCHVISION = Naming(((r"\.mlp\.linear_1\.", ".mlp.0."), (r"\.mlp\.linear_2\.", ".mlp.3.")))
# timm/models/vision_transformer.py
TIMM = Naming(
    (
        (r"^cls_token$", "class_token"),
        (r"^pos_embed$", "encoder.pos_embedding"),
        (r"^patch_embed\.proj\.", "conv_proj."),
        (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
        (r"\.norm([12])\.", r".ln_\1."),
        (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
        (r"\.attn\.proj\.", ".self_attention.out_proj."),
        (r"\.mlp\.fc1\.", ".mlp.0."),
        (r"\.mlp\.fc2\.", ".mlp.3."),
        (r"^norm\.", "encoder.ln."),
        (r"^head\.", "heads.head."),
    )
)
# transformers/models/vit/modeling_vit.py; the second name of each pair is that of its version 5.
HUGGINGFACE = Naming(
    (
        (r"^(vit|deit)\.", ""),
        (r"^embeddings\.cls_token$", "class_token"),
        (r"^embeddings\.position_embeddings$", "encoder.pos_embedding"),
        (r"^embeddings\.patch_embeddings\.projection\.", "conv_proj."),
        (r"^(encoder\.layer|layers)\.(\d+)\.", r"encoder.layers.encoder_layer_\2."),
        (r"\.layernorm_before\.", ".ln_1."),
        (r"\.layernorm_after\.", ".ln_2."),
        (r"\.attention\.(attention\.query|q_proj)\.(\w+)$", r".self_attention.in_proj_\2[0]"),
        (r"\.attention\.(attention\.key|k_proj)\.(\w+)$", r".self_attention.in_proj_\2[1]"),
        (r"\.attention\.(attention\.value|v_proj)\.(\w+)$", r".self_attention.in_proj_\2[2]"),
        (r"\.attention\.(output\.dense|o_proj)\.", ".self_attention.out_proj."),
        (r"\.(intermediate\.dense|mlp\.fc1)\.", ".mlp.0."),
        (r"\.(output\.dense|mlp\.fc2)\.", ".mlp.3."),
        (r"^layernorm\.", "encoder.ln."),
        (r"^classifier\.", "heads.head."),
    ),
    ignored=r"^((vit|deit)\.)?pooler\.",
    options={"epsilon": 1e-12},
)
NAMINGS = {"torchvision": TORCHVISION, "timm": TIMM, "huggingface": HUGGINGFACE}


def _halves(resize: int | tuple[int, int], crop: int | None, interpolation: str, source: str) -> Preprocessing:
    return Preprocessing(resize, crop, interpolation, mean=(0.5,) * 3, std=(0.5,) * 3, source=source)


_VIT = {
    "torchvision": imagenet(256, 224, "bilinear", "torchvision IMAGENET1K_V1 of vit_b_16"),
    "timm": _halves(248, 224, "bicubic", "timm's augreg weights: crop_pct 0.9 at 224"),
    "huggingface": _halves((224, 224), None, "bilinear", "google/vit-*-patch16-224: both sides resized, resample 2"),
}
_DEIT = {
    "torchvision": imagenet(256, 224, "bicubic", "facebookresearch/deit; torchvision has no such weights"),
    "timm": imagenet(248, 224, "bicubic", "timm's fb_in1k: crop_pct 0.9 at 224"),
    "huggingface": imagenet(
        256, 224, "bicubic", "facebookresearch/deit; the files facebook/deit-*-patch16-224 say mean and std 0.5"
    ),
}

ENTRIES = tuple(
    Architecture(
        name=name,
        make=make,
        namings=NAMINGS,
        preprocessing=preprocessing,
        head="heads.head",
        positions="encoder.pos_embedding",
    )
    for name, make, preprocessing in (
        ("vit_b_16", vit_b_16, _VIT),
        ("vit_s_16", vit_s_16, _VIT),
        ("deit_s_16", deit_s_16, _DEIT),
        ("deit_t_16", deit_t_16, _DEIT),
    )
)
