"""Entries of the table with few layers and channels, under the names of the families that they stand for."""

from dataclasses import replace
from functools import partial
from typing import Any

import flax.linen as nn

from jaxplain.adapters.linen import from_linen
from jaxplain.core.model import Model
from jaxplain.models import ARCHITECTURES, Architecture, ConvNeXt, UNet, VisionTransformer
from jaxplain.models.checkpoint import tensor_shapes, variables_from
from jaxplain.models.random_weights import random_tensors


def _small(name: str, make: type[nn.Module], shape: tuple[int, ...], *arguments: Any, **keywords: Any) -> Architecture:
    return replace(ARCHITECTURES[name], make=partial(make, *arguments, **keywords), input_shape=shape, classes=5)


SMALL = {
    entry.name: entry
    for entry in (
        _small("vit_s_16", VisionTransformer, (48, 48, 3), width=12, heads=3, depth=2),
        _small("convnext_tiny", ConvNeXt, (32, 48, 3), (1, 2), (8, 12)),
        _small("unet_2d", UNet, (32, 16, 3), features=2),
        _small("unet_3d", UNet, (16, 32, 16, 1), features=2),
    )
}


def small_model(name: str) -> Model:
    """The small network of a family with random weights."""
    entry = SMALL[name]
    variables = entry.variables()
    return from_linen(entry.module(), variables_from(variables, random_tensors(entry, tensor_shapes(variables))))
