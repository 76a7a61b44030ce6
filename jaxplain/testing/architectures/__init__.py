"""Reference architectures, tiny: each in Linen, in NNX and as a bare function, with the same weights."""

from jaxplain.testing.architectures.architecture import FEATURES as FEATURES
from jaxplain.testing.architectures.architecture import Architecture as Architecture
from jaxplain.testing.architectures.convnext import CONVNEXT as CONVNEXT
from jaxplain.testing.architectures.plain_conv import PLAIN_CONV as PLAIN_CONV
from jaxplain.testing.architectures.resnet import RESNET as RESNET
from jaxplain.testing.architectures.unet import UNET_2D as UNET_2D
from jaxplain.testing.architectures.unet import UNET_3D as UNET_3D
from jaxplain.testing.architectures.vgg import VGG as VGG
from jaxplain.testing.architectures.vit import VIT as VIT

ARCHITECTURES: tuple[Architecture, ...] = (PLAIN_CONV, VGG, RESNET, CONVNEXT, VIT, UNET_2D, UNET_3D)
