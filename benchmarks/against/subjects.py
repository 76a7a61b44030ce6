"""The networks that are compared: one set of weights in both frameworks, with images and labels."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch
from safetensors.torch import save_file

import jaxplain
from benchmarks.against import networks
from benchmarks.against.networks import resnet
from benchmarks.against.networks.small import Small
from jaxplain.models.checkpoint import variables_from
from jaxplain.models.resnet import BasicBlock, ResNet

RANGE = 4.0
"""Of every image: noise that is a fraction of an image's range here is absolute in some peers."""


@dataclass(frozen=True)
class Subject:
    """A network, and what is explained of it.

    Args:
        name: Of the network.
        original: The PyTorch network.
        model: The same network and weights in jaxplain.
        images: ``(n, h, w, c)``, all of the range ``RANGE``.
        labels: The class that the network ranks highest, per image.
        layer: The last layer with space, for class activation maps; empty where there is none.
        relu: Whether its activations are ReLUs, and all its pooling is maximum or average.
    """

    name: str
    original: torch.nn.Module
    model: jaxplain.Model
    images: np.ndarray
    labels: np.ndarray
    layer: str = ""
    relu: bool = True

    @property
    def target(self) -> Any:
        """Return the target: the logit of each image's label."""
        return jaxplain.Logit(self.labels)

    def in_float64(self) -> "Subject":
        """Return the subject with our weights and images in float64, for use under ``jax.enable_x64``."""
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), self.model)
        return replace(self, model=model, images=self.images.astype(np.float64))

    def first(self, n: int) -> "Subject":
        """Return the subject with its first images only."""
        return replace(self, images=self.images[:n], labels=self.labels[:n])


@dataclass(frozen=True)
class Kind:
    """What is known of a network before it is made.

    Args:
        layer: As in ``Subject``.
        relu: As in ``Subject``.
        gradients: Gradients of 224 x 224 images that two cores make in about half a second: the size of a run.
    """

    layer: str
    relu: bool
    gradients: int


KINDS = {
    "resnet18": Kind("layer4", True, 8),
    "resnet50": Kind("layer4", True, 4),
    "vgg16": Kind("features/29", True, 2),
    "vit_s_16": Kind("", False, 6),
    "small": Kind("relu3", True, 64),
    "small_plain": Kind("relu3", True, 64),
    "small_resnet": Kind("layer4", True, 32),
}


def make(name: str, *, n_images: int, size: int = 224, seed: int = 0) -> Subject:
    """Make a subject with random weights."""
    kind = KINDS[name]
    images = smooth_images(n_images, size, seed=seed)
    torch.manual_seed(seed)
    original = SMALL.get(name, partial(networks.make, name))().eval()
    if kind.relu:
        keep_scale(original, size)
    model = weighted(SMALL_FLAX[name], original) if name in SMALL else loaded(name, original)
    with torch.inference_mode():
        logits = original(torch.from_numpy(images).movedim(-1, 1)).numpy()
    with jax.default_matmul_precision("highest"):  # the same weights: TF32 on a GPU would be off by more
        ours = np.asarray(model(jnp.asarray(images)))
    np.testing.assert_allclose(ours, logits, rtol=1e-3, atol=1e-3 * np.abs(logits).max())
    return Subject(name, original, model, images, logits.argmax(-1), kind.layer, kind.relu)


def loaded(name: str, original: torch.nn.Module) -> jaxplain.Model:
    """Load a network's weights into ours, through a file as users do."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "weights.safetensors"
        save_file(original.state_dict(), place)
        return jaxplain.models.load(name, place).model


def keep_scale(network: torch.nn.Module, size: int) -> None:
    """Give a network of ReLUs weights by which activations keep their scale, and the statistics that images have.

    PyTorch's own random weights let them fade, to 1e-5 behind the convolutions of VGG-16, where stabilizers rule.
    """
    found = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, torch.nn.BatchNorm2d):
            found.append(module)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
            module.train().momentum = 1.0
    if found:
        with torch.no_grad():
            network(torch.from_numpy(smooth_images(4, size, seed=7)).movedim(-1, 1))
    network.eval()


def smooth_images(n: int, size: int, *, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Make images of smooth noise, from -2 to 2 each: what they show is of no account here."""
    coarse = np.random.default_rng(seed).normal(size=(n, max(size // 8, 2), max(size // 8, 2), channels))
    images = np.asarray(jax.image.resize(jnp.asarray(coarse, jnp.float32), (n, size, size, channels), "cubic"))
    low, high = (reduce(images, axis=(1, 2, 3), keepdims=True) for reduce in (np.min, np.max))
    return RANGE * (images - low) / (high - low) - RANGE / 2


class SmallFlax(nn.Module):
    """``networks.small.Small`` in Linen."""

    normalized: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Conv(8, (3, 3), padding=1, name="conv1")(x)
        if self.normalized:
            x = nn.BatchNorm(use_running_average=True, epsilon=1e-5, name="bn1")(x)
        x = Relu(name="relu1")(x)
        x = nn.max_pool(nn.Conv(12, (3, 3), 2, padding=1, name="conv2")(x), (2, 2), (2, 2))
        x = Relu(name="relu2")(x)
        x = Relu(name="relu3")(nn.Conv(16, (3, 3), padding=1, name="conv3")(x))
        return nn.Dense(10, name="fc")(jnp.mean(x, axis=(1, 2)))


class Relu(nn.Module):
    """A ReLU with a name of its own."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.relu(x)


def weighted(module: nn.Module, original: torch.nn.Module) -> jaxplain.Model:
    """Give a Linen module the weights of the original, by their names."""
    tensors = {name: value.numpy() for name, value in original.state_dict().items() if value.ndim}
    like = jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32))
    return jaxplain.from_linen(module, variables_from(like, tensors))


SMALL: dict[str, Callable[[], torch.nn.Module]] = {
    "small": Small,
    "small_plain": partial(Small, normalized=False),
    "small_resnet": partial(resnet.ResNet, resnet.BasicBlock, (1, 1, 1, 1), 10),
}
"""Networks for tests, which ``jaxplain.models.load`` does not have."""
SMALL_FLAX = {
    "small": SmallFlax(),
    "small_plain": SmallFlax(normalized=False),
    "small_resnet": ResNet(BasicBlock, (1, 1, 1, 1), 10),
}
"""The same in Linen."""
