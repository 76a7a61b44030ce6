"""VGG-16 in PyTorch, at inference, with torchvision's names of parameters."""

import torch
from torch import nn

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG(nn.Module):
    """The network: ``(batch, 3, h, w)`` to ``(batch, classes)`` logits."""

    def __init__(self, classes: int, *, normalized: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for widths in WIDTHS:
            for width in widths:
                layers.append(nn.Conv2d(before, width, 3, padding=1))
                layers += [nn.BatchNorm2d(width)] if normalized else []
                layers.append(nn.ReLU())
                before = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(before * 49, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def vgg16(*, classes: int = 1000) -> VGG:
    """Return VGG-16."""
    return VGG(classes)


def vgg16_bn(*, classes: int = 1000) -> VGG:
    """Return VGG-16 with batch normalization."""
    return VGG(classes, normalized=True)
