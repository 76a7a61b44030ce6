"""Reference networks in Flax, and weights for them from checkpoints of PyTorch networks."""

from jaxplain.models.architecture import Architecture
from jaxplain.models.architectures import ARCHITECTURES
from jaxplain.models.convnext import ConvNeXt, convnext_tiny
from jaxplain.models.loading import Pretrained, load
from jaxplain.models.preprocessing import Preprocessing
from jaxplain.models.random_weights import random_network
from jaxplain.models.resnet import ResNet, resnet18, resnet34, resnet50, resnet101
from jaxplain.models.resnet3d import ResNet3D, r3d_18
from jaxplain.models.small import NNXSmallCNN, SmallCNN, nnx_twin, small_cnn, small_cnn_variables
from jaxplain.models.unet import UNet, unet
from jaxplain.models.vgg import VGG, vgg16, vgg16_bn
from jaxplain.models.vit import VisionTransformer, deit_s_16, deit_t_16, vit_b_16, vit_s_16

__all__ = [
    "ARCHITECTURES",
    "VGG",
    "Architecture",
    "ConvNeXt",
    "NNXSmallCNN",
    "Preprocessing",
    "Pretrained",
    "ResNet",
    "ResNet3D",
    "SmallCNN",
    "UNet",
    "VisionTransformer",
    "convnext_tiny",
    "deit_s_16",
    "deit_t_16",
    "load",
    "nnx_twin",
    "r3d_18",
    "random_network",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "small_cnn",
    "small_cnn_variables",
    "unet",
    "vgg16",
    "vgg16_bn",
    "vit_b_16",
    "vit_s_16",
]
