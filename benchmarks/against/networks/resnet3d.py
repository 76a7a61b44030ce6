"""ResNet-3D-18 in PyTorch, at inference, with the names of parameters of torchvision's ``r3d_18``."""

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*convolution(before, width, 3, stride, 1), nn.ReLU())
        self.conv2 = nn.Sequential(*convolution(width, width, 3, 1, 1))
        self.relu = nn.ReLU()
        changes = stride != 1 or before != width
        self.downsample = nn.Sequential(*convolution(before, width, 1, stride, 0)) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.conv2(self.conv1(x))
        return self.relu(hidden + (x if self.downsample is None else self.downsample(x)))


class ResNet3D(nn.Module):
    """The network: ``(batch, 3, t, h, w)`` to ``(batch, classes)`` logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3)), nn.ReLU())
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(512, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.avgpool(x).flatten(1))


Along = int | tuple[int, int, int]


def convolution(before: int, width: int, kernel: Along, stride: Along, padding: Along) -> tuple[nn.Module, nn.Module]:
    """Return a convolution and its normalization."""
    return nn.Conv3d(before, width, kernel, stride, padding, bias=False), nn.BatchNorm3d(width)


def r3d_18(*, classes: int = 400) -> ResNet3D:
    """Return ResNet-3D-18."""
    return ResNet3D(classes)
