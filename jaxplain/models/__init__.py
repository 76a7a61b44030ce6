"""Reference networks in Flax."""

from jaxplain.models.resnet import ResNet, random_resnet, resnet18, resnet34, resnet50
from jaxplain.models.small import NNXSmallCNN, SmallCNN, nnx_twin, small_cnn, small_cnn_variables

__all__ = [
    "NNXSmallCNN",
    "ResNet",
    "SmallCNN",
    "nnx_twin",
    "random_resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_cnn",
    "small_cnn_variables",
]
