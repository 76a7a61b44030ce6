"""VGG-16 in Linen, at inference, built like the published PyTorch one: same numbers, same names.

The parameters of ``features.28`` in torchvision are those of ``features/28`` here; ReLUs and poolings are modules with
torchvision's numbers too, so that ``features/29`` names the last activations. Images of any size are averaged to 7x7
positions before the dense layers, whose weights count them channel by channel, as PyTorch lays them out.

Simonyan and Zisserman 2015, Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxplain.models.architecture import Architecture
from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import imagenet

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the convolutions between two poolings: configuration D."""
POSITIONS = 7


class Relu(nn.Module):
    """A ReLU with a place in the table of layers."""

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return nn.relu(x)


class MaxPool(nn.Module):
    """Maxima of 2x2 positions, with a place in the table of layers."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c"]:
        return nn.max_pool(x, (2, 2), (2, 2))


class Features(nn.Module):
    """All layers with space: 3x3 convolutions, each with a ReLU, and poolings between them.

    Attributes:
        normalized: Whether a batch normalization follows each convolution.
    """

    normalized: bool

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        normalization = [partial(nn.BatchNorm, use_running_average=True, epsilon=1e-5)] if self.normalized else []
        layers: list[partial[nn.Module]] = []
        for widths in WIDTHS:
            for width in widths:
                layers += [partial(nn.Conv, width, (3, 3), padding=1), *normalization, partial(Relu)]
            layers.append(partial(MaxPool))
        for number, layer in enumerate(layers):
            x = layer(name=str(number))(x)
        return x


class Classifier(nn.Module):
    """Three dense layers.

    Attributes:
        classes: Number of outputs.
    """

    classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch c"]) -> Float[Array, "batch classes"]:
        x = Relu(name="1")(nn.Dense(4096, name="0")(x))
        x = Relu(name="4")(nn.Dense(4096, name="3")(x))
        return nn.Dense(self.classes, name="6")(x)


class VGG(nn.Module):
    """The network: ``(batch, h, w, 3)`` to ``(batch, classes)`` logits; height and width are at least 32.

    Attributes:
        classes: Number of outputs.
        normalized: Whether a batch normalization follows each convolution.

    Example:
        >>> network = VGG(classes=5)
        >>> images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
        >>> variables = jax.eval_shape(network.init, jax.random.key(0), images)
        >>> jax.eval_shape(network.apply, variables, images).shape
        (2, 5)
    """

    classes: int = 1000
    normalized: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch classes"]:
        x = adaptive_average(Features(self.normalized, name="features")(x), POSITIONS)
        return Classifier(self.classes, name="classifier")(x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1))


def adaptive_average(x: Float[Array, "batch h w c"], size: int) -> Float[Array, "batch size size c"]:
    """Average over ``size`` windows along height and width that cover the image and may overlap.

    Window ``i`` reaches from ``floor(i * h / size)`` to ``ceil((i + 1) * h / size)``, as PyTorch's adaptive pooling.

    Example:
        >>> adaptive_average(jnp.arange(3.0).reshape(1, 3, 1, 1), 2)[0, :, 0, 0]
        Array([0.5, 1.5], dtype=float32)
    """
    for axis in (1, 2):
        length = x.shape[axis]
        if length != size:
            windows = jnp.asarray(_windows(length, size), x.dtype)
            x = jnp.moveaxis(jnp.tensordot(windows, x, axes=((1,), (axis,))), 0, axis)
    return x


def vgg16(*, classes: int = 1000) -> VGG:
    """Return VGG-16: 138.4 million parameters."""
    return VGG(classes)


def vgg16_bn(*, classes: int = 1000) -> VGG:
    """Return VGG-16 with batch normalization: 138.4 million parameters."""
    return VGG(classes, normalized=True)


def _windows(length: int, size: int) -> np.ndarray:
    """Return one row of weights per window."""
    rows = np.zeros((size, length))
    for row in range(size):
        begin, end = row * length // size, -(-(row + 1) * length // size)
        rows[row, begin:end] = 1 / (end - begin)
    return rows


# timm/models/vgg.py: the first two dense layers are convolutions there.
TIMM = Naming(
    (
        (r"^pre_logits\.fc1\.", "classifier.0."),
        (r"^pre_logits\.fc2\.", "classifier.3."),
        (r"^head\.fc\.", "classifier.6."),
    )
)

ENTRIES = tuple(
    Architecture(
        name=name,
        make=make,
        namings={"torchvision": Naming(), "timm": TIMM},
        preprocessing={
            "torchvision": imagenet(256, 224, "bilinear", "torchvision IMAGENET1K_V1"),
            "timm": imagenet(256, 224, "bilinear", "timm tv_in1k: crop_pct 0.875 at 224"),
        },
        head="classifier.6",
    )
    for name, make in (("vgg16", vgg16), ("vgg16_bn", vgg16_bn))
)
