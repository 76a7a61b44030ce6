"""U-Nets in two and three dimensions in Linen, at inference, built and named like a published PyTorch one.

The published one is that of torch hub, ``mateuszbuda/brain-segmentation-pytorch``: four levels of two 3x3 convolutions
with batch normalization and ReLU, padded so that sizes are kept, max-pooling on the way down, transposed 2x2
convolutions on the way up, skips joined behind what comes up. In three dimensions all of it is three-dimensional, with
the same names. One thing is left out, the last sigmoid: the outputs are logits, which targets explain.

Ronneberger, Fischer and Brox 2015, U-Net, arXiv:1505.04597; Cicek et al. 2016, 3D U-Net, arXiv:1606.06650; Buda, Saha
and Mazurowski 2019, doi:10.1016/j.compbiomed.2019.05.002.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._errors import InputError
from jaxplain.models.architecture import Architecture
from jaxplain.models.naming import Naming
from jaxplain.models.preprocessing import Preprocessing

LEVELS = 4


class Block(nn.Module):
    """Two convolutions, each normalized and followed by ReLU.

    Attributes:
        width: Channels of both.
        prefix: Of the layers' names.
    """

    width: int
    prefix: str

    @nn.compact
    def __call__(self, x: Float[Array, "batch *space c"]) -> Float[Array, "batch *space c2"]:
        kernel = (3,) * (x.ndim - 2)
        for number in (1, 2):
            x = nn.Conv(self.width, kernel, padding=1, use_bias=False, name=f"{self.prefix}conv{number}")(x)
            norm = nn.BatchNorm(use_running_average=True, epsilon=1e-5, name=f"{self.prefix}norm{number}")
            x = nn.relu(norm(x))
        return x


class UNet(nn.Module):
    """The network: ``(batch, *space, channels)`` to logits ``(batch, *space, classes)``, in any dimension.

    Attributes:
        classes: Number of outputs at each position.
        features: Channels of the first level; each deeper one has twice as many.

    Example:
        >>> import jax
        >>> network = UNet(classes=2, features=2)
        >>> for shape in [(1, 32, 16, 3), (1, 16, 16, 16, 1)]:
        ...     images = jax.ShapeDtypeStruct(shape, jnp.float32)
        ...     variables = jax.eval_shape(network.init, jax.random.key(0), images)
        ...     print(jax.eval_shape(network.apply, variables, images).shape)
        (1, 32, 16, 2)
        (1, 16, 16, 16, 2)
    """

    classes: int = 1
    features: int = 32

    @nn.compact
    def __call__(self, x: Float[Array, "batch *space c"]) -> Float[Array, "batch *space classes"]:
        space = x.shape[1:-1]
        if any(side % 2**LEVELS for side in space):
            raise InputError(
                f"UNet: the space {space} cannot be halved {LEVELS} times; pad its sides to multiples of {2**LEVELS}."
            )
        twos = (2,) * len(space)
        skips = []
        for level in range(1, LEVELS + 1):
            x = Block(self.features * 2 ** (level - 1), f"enc{level}", name=f"encoder{level}")(x)
            skips.append(x)
            x = nn.max_pool(x, twos, twos)
        x = Block(self.features * 2**LEVELS, "bottleneck", name="bottleneck")(x)
        for level in range(LEVELS, 0, -1):
            width = self.features * 2 ** (level - 1)
            # transpose_kernel: PyTorch's order of the kernel, so that its weights are moved like any convolution's
            x = nn.ConvTranspose(width, twos, twos, transpose_kernel=True, name=f"upconv{level}")(x)
            x = jnp.concatenate([x, skips.pop()], axis=-1)
            x = Block(width, f"dec{level}", name=f"decoder{level}")(x)
        return nn.Conv(self.classes, (1,) * len(space), name="conv")(x)


def unet(*, classes: int = 1) -> UNet:
    """Return the U-Net: 7.8 million parameters for images of three channels, 22.6 million for volumes of one."""
    return UNet(classes)


_SOURCE = "mateuszbuda/brain-segmentation-pytorch, where each scan has its own mean and std: standardize the values"

ENTRIES = tuple(
    Architecture(
        name=name,
        make=unet,
        namings={"original": Naming()},
        preprocessing={"original": Preprocessing(source=source)},
        input_shape=input_shape,
        classes=1,
        head="conv",
    )
    for name, input_shape, source in (
        ("unet_2d", (256, 256, 3), _SOURCE),
        ("unet_3d", (64, 64, 64, 1), "no weights are published"),
    )
)
