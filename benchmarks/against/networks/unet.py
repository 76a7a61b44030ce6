"""U-Nets in PyTorch, at inference, with the names of parameters of torch hub's brain-segmentation U-Net.

The last sigmoid is left out: the outputs are logits.
"""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn

LEVELS = 4
LAYERS: Mapping[int, tuple[type[nn.Module], ...]] = {
    2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.ConvTranspose2d),
    3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d, nn.ConvTranspose3d),
}


class UNet(nn.Module):
    """The network: ``(batch, channels, *space)`` to logits ``(batch, classes, *space)``.

    Args:
        dims: Axes of space, 2 or 3.
        channels: Of the images.
        classes: Number of outputs at each position.
        features: Channels of the first level.
    """

    def __init__(self, dims: int = 2, *, channels: int = 3, classes: int = 1, features: int = 32) -> None:
        super().__init__()
        convolution, _, pooling, transposed = LAYERS[dims]
        widths = [features * 2**level for level in range(LEVELS + 1)]
        before = channels
        for level, width in enumerate(widths[:-1], start=1):
            self.add_module(f"encoder{level}", _block(dims, before, width, f"enc{level}"))
            before = width
        self.pool = pooling(2)
        self.bottleneck = _block(dims, before, widths[-1], "bottleneck")
        for level in range(LEVELS, 0, -1):
            self.add_module(f"upconv{level}", transposed(widths[level], widths[level - 1], 2, 2))
            block = _block(dims, 2 * widths[level - 1], widths[level - 1], f"dec{level}")
            self.add_module(f"decoder{level}", block)
        self.conv = convolution(features, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level in range(1, LEVELS + 1):
            x = self.get_submodule(f"encoder{level}")(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottleneck(x)
        for level in range(LEVELS, 0, -1):
            x = torch.cat([self.get_submodule(f"upconv{level}")(x), skips.pop()], dim=1)
            x = self.get_submodule(f"decoder{level}")(x)
        return self.conv(x)


def _block(dims: int, before: int, width: int, prefix: str) -> nn.Sequential:
    convolution, normalization, _, _ = LAYERS[dims]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, channels in enumerate((before, width), start=1):
        layers[f"{prefix}conv{number}"] = convolution(channels, width, 3, padding=1, bias=False)
        layers[f"{prefix}norm{number}"] = normalization(width)
        layers[f"{prefix}relu{number}"] = nn.ReLU()
    return nn.Sequential(layers)


def unet_2d(*, classes: int = 1, channels: int = 3) -> UNet:
    """Return the U-Net of torch hub."""
    return UNet(2, channels=channels, classes=classes)


def unet_3d(*, classes: int = 1, channels: int = 1) -> UNet:
    """Return the same in three dimensions."""
    return UNet(3, channels=channels, classes=classes)
