"""A vision transformer: patches, a class token, and blocks of self-attention and dense layers, normalized first.

The tagged layer is the grid of embedded patches. Dosovitskiy et al. 2021, An image is worth 16x16 words,
arXiv:2010.11929.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxplain._typing import PyTree
from jaxplain.testing.architectures import bare
from jaxplain.testing.architectures.architecture import CLASSES, FEATURES, Architecture, called

SHAPE = (12, 16, 3)
PATCH = 4
WIDTH = 8
HEADS = 2
GRID = (1, SHAPE[0] // PATCH, SHAPE[1] // PATCH, WIDTH)


def tokens(patches: Float[Array, "b h w c"], class_token: Float[Array, "1 1 c"]) -> Float[Array, "b token c"]:
    """Put the class token in front of the flattened grid of patches."""
    flat = checkpoint_name(patches, FEATURES).reshape(patches.shape[0], -1, WIDTH)
    return jnp.concatenate([jnp.broadcast_to(class_token, (patches.shape[0], 1, WIDTH)), flat], axis=1)


class LinenBlock(nn.Module):
    """Self-attention and two dense layers around a GELU, each beside a shortcut."""

    @nn.compact
    def __call__(self, x: Float[Array, "b token c"]) -> Float[Array, "b token c"]:
        x = x + nn.MultiHeadDotProductAttention(HEADS, name="attention")(nn.LayerNorm(name="norm1")(x))
        hidden = nn.gelu(nn.Dense(2 * WIDTH, name="expand")(nn.LayerNorm(name="norm2")(x)))
        return x + nn.Dense(WIDTH, name="reduce")(hidden)


class LinenViT(nn.Module):
    """The network in Linen."""

    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        block = nn.remat(LinenBlock) if self.remat else LinenBlock
        class_token = self.param("class_token", nn.initializers.normal(), (1, 1, WIDTH))
        positions = self.param("positions", nn.initializers.normal(), GRID)
        x = tokens(nn.Conv(WIDTH, (PATCH, PATCH), PATCH, name="embed")(x) + positions, class_token)
        x = block(name="block2")(block(name="block1")(x))
        return nn.Dense(CLASSES, name="head")(nn.LayerNorm(name="norm")(x)[:, 0])


class NnxBlock(nnx.Module):
    """Self-attention and two dense layers around a GELU, each beside a shortcut."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.expand = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.reduce = nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: Float[Array, "b token c"]) -> Float[Array, "b token c"]:
        x = x + self.attention(self.norm1(x))
        return x + self.reduce(nnx.gelu(self.expand(self.norm2(x))))


class NnxViT(nnx.Module):
    """The network in NNX."""

    def __init__(self, *, remat: bool = False, rngs: nnx.Rngs) -> None:
        self.remat = remat
        self.embed = nnx.Conv(SHAPE[-1], WIDTH, (PATCH, PATCH), PATCH, rngs=rngs)
        self.class_token, self.positions = nnx.Param(jnp.zeros((1, 1, WIDTH))), nnx.Param(jnp.zeros(GRID))
        self.block1, self.block2 = NnxBlock(rngs=rngs), NnxBlock(rngs=rngs)
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
        x = tokens(self.embed(x) + self.positions[...], self.class_token[...])
        for block in (self.block1, self.block2):
            x = called(block, x, remat=self.remat)
        return self.head(self.norm(x)[:, 0])


def attention(weights: PyTree, x: Float[Array, "b token c"]) -> Float[Array, "b token c"]:
    """Apply multi-head self-attention."""

    def projected(name: str) -> Array:
        product = jnp.einsum("btc,chd->bthd", x, weights[name]["kernel"])
        return product + weights[name]["bias"].reshape(1, 1, HEADS, -1)

    query, key, value = (projected(name) for name in ("query", "key", "value"))
    logits = jnp.einsum("bqhd,bkhd->bhqk", query / math.sqrt(WIDTH // HEADS), key)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), value)
    return jnp.einsum("bqhd,hdc->bqc", mixed, weights["out"]["kernel"]) + weights["out"]["bias"].reshape(1, 1, -1)


def block(weights: PyTree, x: Float[Array, "b token c"]) -> Float[Array, "b token c"]:
    """Apply one block."""
    x = x + attention(weights["attention"], bare.layer_norm(weights["norm1"], x))
    hidden = jax.nn.gelu(bare.dense(weights["expand"], bare.layer_norm(weights["norm2"], x)))
    return x + bare.dense(weights["reduce"], hidden)


def vit(
    weights: PyTree, x: Float[Array, "b h w c"], *, remat: bool = False, scan: bool = False
) -> Float[Array, "b classes"]:
    """Apply the network as a bare function."""
    x = tokens(bare.convolution(weights["embed"], x, PATCH) + weights["positions"], weights["class_token"])
    x = bare.chain(block, (weights["block1"], weights["block2"]), x, remat=remat, scan=scan)
    return bare.dense(weights["head"], bare.layer_norm(weights["norm"], x)[:, 0])


VIT = Architecture("vit", SHAPE, LinenViT, NnxViT, vit, frozenset({"attention"}), scans=True)
