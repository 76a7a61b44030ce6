"""ResNet-3D-18 in Linen, at inference, built like the published PyTorch one: same numbers, same names.

Clips and volumes are ``(batch, t, h, w, c)``. The parameters of ``layer1.0.conv1.0`` in torchvision's ``r3d_18`` are
those of ``layer1/0/conv1/0`` here. Every convolution and normalization is that of ResNet-18 with one axis more; the
stem reduces height and width only, and nothing is pooled before the end.

Tran, Wang, Torresani, Ray, LeCun and Paluri 2018, A closer look at spatiotemporal convolutions for action
recognition, arXiv:1711.11248.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain.models.architecture import Architecture
from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import Preprocessing
from jaxplain.models.resnet import Convolution, Normalization, Stage, shortcut


class Layers(nn.Module):
    """A convolution, its batch normalization and maybe a ReLU: what is one sequence in torchvision.

    Attributes:
        width: Channels that leave it.
        kernel: Positions of the kernel along time, height and width, all odd; the same number of positions is kept.
        stride: Along time, height and width.
        relu: Whether a ReLU ends it.
    """

    width: int
    kernel: tuple[int, int, int] = (3, 3, 3)
    stride: tuple[int, int, int] = (1, 1, 1)
    relu: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "batch t h w c"]) -> Float[Array, "batch t2 h2 w2 c2"]:
        padding = [(length // 2, length // 2) for length in self.kernel]
        x = Convolution(self.width, self.kernel, self.stride, padding=padding, name="0")(x)
        x = Normalization(name="1")(x)
        return nn.relu(x) if self.relu else x


class Block3D(nn.Module):
    """Two 3x3x3 convolutions beside a shortcut.

    Attributes:
        width: Channels of both convolutions.
        stride: Of the first convolution and the shortcut, along all axes.
    """

    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "batch t h w c"]) -> Float[Array, "batch t2 h2 w2 c2"]:
        hidden = Layers(self.width, stride=(self.stride,) * 3, name="conv1")(x)
        hidden = Layers(self.width, relu=False, name="conv2")(hidden)
        return nn.relu(hidden + shortcut(x, self.width, self.stride))


class ResNet3D(nn.Module):
    """The network: ``(batch, t, h, w, 3)`` to ``(batch, classes)`` logits.

    Attributes:
        n_blocks: Blocks of each of the four stages.
        classes: Number of outputs.

    Example:
        >>> network = ResNet3D((1, 1, 1, 1), classes=5)
        >>> clips = jax.ShapeDtypeStruct((2, 8, 32, 32, 3), jnp.float32)
        >>> variables = jax.eval_shape(network.init, jax.random.key(0), clips)
        >>> jax.eval_shape(network.apply, variables, clips).shape
        (2, 5)
    """

    n_blocks: tuple[int, ...]
    classes: int = 400

    @nn.compact
    def __call__(self, x: Float[Array, "batch t h w c"]) -> Float[Array, "batch classes"]:
        x = Layers(64, (3, 7, 7), (1, 2, 2), name="stem")(x)
        for number, n_blocks in enumerate(self.n_blocks):
            x = Stage(Block3D, 64 * 2**number, n_blocks, 1 if number == 0 else 2, name=f"layer{number + 1}")(x)
        return nn.Dense(self.classes, name="fc")(jnp.mean(x, axis=(1, 2, 3)))


def r3d_18(*, classes: int = 400) -> ResNet3D:
    """Return ResNet-3D-18: 33.4 million parameters."""
    return ResNet3D((2, 2, 2, 2), classes)


ENTRIES = (
    Architecture(
        name="r3d_18",
        make=r3d_18,
        namings={"torchvision": Naming()},
        preprocessing={
            "torchvision": Preprocessing(
                resize=(128, 171),
                crop=112,
                antialias=False,
                mean=(0.43216, 0.394666, 0.37645),
                std=(0.22803, 0.22145, 0.216989),
                source="torchvision KINETICS400_V1: clips of 16 frames, 15 per second",
            )
        },
        input_shape=(16, 112, 112, 3),
        classes=400,
        quiet=r"^layer\d\.\d+\.conv2\.1\.weight$",
    ),
)
