"""The table of reference networks, by name."""

from jaxplain._errors import unknown
from jaxplain.models import convnext, resnet, resnet3d, unet, vgg, vit
from jaxplain.models.architecture import Architecture

_FAMILIES = (resnet, vgg, resnet3d, convnext, vit, unet)

ARCHITECTURES: dict[str, Architecture] = {entry.name: entry for family in _FAMILIES for entry in family.ENTRIES}
"""All reference networks that `jaxplain.models.load` and `jaxplain.models.random_network` build."""


def find_architecture(name: str, *, where: str = "models") -> Architecture:
    """Return the entry of a name.

    Raises:
        InputError: No such network; the nearest names are given.
    """
    if name not in ARCHITECTURES:
        raise unknown(where, "architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]
