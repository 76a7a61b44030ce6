"""A small convolutional network in PyTorch: what the tests of the peers run."""

import torch
from torch import nn


class Small(nn.Module):
    """Three convolutions, the first with batch normalization, maximum and average pooling, and a linear layer."""

    def __init__(self, classes: int = 10, *, normalized: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8) if normalized else nn.Dropout()
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(12, 16, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.pool(self.conv2(x)))
        return self.fc(self.mean(self.relu3(self.conv3(x))).flatten(1))
