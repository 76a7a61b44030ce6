"""ConvNeXt in PyTorch, at inference, with torchvision's names of parameters."""

from collections.abc import Sequence

import torch
from torch import nn


class ChannelsLast(nn.Module):
    """Move channels behind space."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1)


class ChannelsFirst(nn.Module):
    """Move channels before space."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    """Normalization over the channels of ``(batch, c, h, w)``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A depthwise convolution, a normalization and two linear layers, scaled by channel, beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            ChannelsLast(),
            nn.LayerNorm(width, 1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            ChannelsFirst(),
        )
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer_scale * self.block(x)


class ConvNeXt(nn.Module):
    """The network: ``(batch, 3, h, w)`` to ``(batch, classes)`` logits.

    Args:
        n_blocks: Blocks of each stage.
        widths: Channels of each stage.
        classes: Number of outputs.
        epsilon: Of the last normalization.
    """

    def __init__(
        self, n_blocks: Sequence[int], widths: Sequence[int], *, classes: int = 1000, epsilon: float = 1e-6
    ) -> None:
        super().__init__()
        features: list[nn.Module] = [nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), LayerNorm2d(widths[0], 1e-6))]
        for number, (n, width) in enumerate(zip(n_blocks, widths, strict=True)):
            if number:
                before = widths[number - 1]
                features.append(nn.Sequential(LayerNorm2d(before, 1e-6), nn.Conv2d(before, width, 2, 2)))
            features.append(nn.Sequential(*(Block(width) for _ in range(n))))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = widths[-1]
        self.classifier = nn.Sequential(LayerNorm2d(last, epsilon), nn.Flatten(1), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(x)))


def convnext_tiny(*, classes: int = 1000) -> ConvNeXt:
    """Return ConvNeXt-T."""
    return ConvNeXt((3, 3, 9, 3), (96, 192, 384, 768), classes=classes)
