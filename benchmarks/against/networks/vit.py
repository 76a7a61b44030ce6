"""Vision transformers in PyTorch, at inference, with torchvision's names of parameters."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


class MLP(nn.Sequential):
    """Two linear layers around a GELU; the third position, where training has dropout, is empty."""

    def __init__(self, width: int) -> None:
        super().__init__(
            OrderedDict({"0": nn.Linear(width, 4 * width), "1": nn.GELU(), "3": nn.Linear(4 * width, width)})
        )


class SelfAttention(nn.Module):
    """Multi-head attention of the tokens to each other: ``nn.MultiheadAttention``, returning the tokens alone."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joint = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = joint.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    """Self-attention and two linear layers, each normalized first and beside a shortcut."""

    def __init__(self, width: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, epsilon)
        self.self_attention = SelfAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width, epsilon)
        self.mlp = MLP(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attention(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Position embeddings, the blocks and a last normalization."""

    def __init__(self, tokens: int, width: int, heads: int, depth: int, epsilon: float) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(0.02 * torch.randn(1, tokens, width))
        blocks = {f"encoder_layer_{number}": EncoderBlock(width, heads, epsilon) for number in range(depth)}
        self.layers = nn.Sequential(OrderedDict(blocks))
        self.ln = nn.LayerNorm(width, epsilon)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ln(self.layers(x + self.pos_embedding))


class VisionTransformer(nn.Module):
    """The network: ``(batch, 3, h, w)`` to ``(batch, classes)`` logits.

    Args:
        width: Channels of a token.
        heads: Of each attention.
        depth: Number of blocks.
        classes: Number of outputs.
        size: Height and width of the images.
        patch: Side of a patch in pixels.
        epsilon: Of the normalizations.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        depth: int = 12,
        classes: int = 1000,
        size: int = 224,
        patch: int = 16,
        epsilon: float = 1e-6,
    ) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, patch, patch)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.encoder = Encoder((size // patch) ** 2 + 1, width, heads, depth, epsilon)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, classes)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        return self.heads(self.encoder(x)[:, 0])


def vit_b_16(*, classes: int = 1000, size: int = 224) -> VisionTransformer:
    """Return ViT-B/16."""
    return VisionTransformer(768, 12, classes=classes, size=size)


def vit_s_16(*, classes: int = 1000, size: int = 224) -> VisionTransformer:
    """Return ViT-S/16."""
    return VisionTransformer(384, 6, classes=classes, size=size)


def deit_s_16(*, classes: int = 1000, size: int = 224) -> VisionTransformer:
    """Return DeiT-S/16 without a distillation token."""
    return VisionTransformer(384, 6, classes=classes, size=size)


def deit_t_16(*, classes: int = 1000, size: int = 224) -> VisionTransformer:
    """Return DeiT-T/16 without a distillation token."""
    return VisionTransformer(192, 3, classes=classes, size=size)
