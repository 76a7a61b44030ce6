"""PyTorch originals of the reference networks, with torchvision's names of parameters: for tests and comparisons.

Written for inference, channels first. Each function of a family's module builds the network that
`jaxplain.models.ARCHITECTURES` has under the function's name.
"""

from importlib import import_module
from typing import Any

FAMILIES = ("resnet", "vgg", "resnet3d", "convnext", "vit", "unet")


def make(name: str, **keywords: Any) -> Any:
    """Return the original of a reference network, in inference mode, with PyTorch's random weights.

    Args:
        name: As in `jaxplain.models.ARCHITECTURES`.
        keywords: Of the family's function, such as ``classes``.
    """
    for family in FAMILIES:
        function = getattr(import_module(f"{__name__}.{family}"), name, None)
        if function is not None:
            return function(**keywords).eval()
    raise ValueError(f"networks: no original of {name!r} in {', '.join(FAMILIES)}.")
