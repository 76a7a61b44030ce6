"""What Zennit and pytorch-grad-cam import of torchvision, where it is missing.

Both import torchvision with themselves, and nothing that is used here needs it: Zennit subclasses its canonizers for
torchvision's ResNet blocks, and pytorch-grad-cam's picture functions name transforms and its detection targets a box
function. The stand-in has those names and nothing behind them; whoever calls one is told so. Where torchvision is
installed, it is left alone.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

NAMES = {
    "torchvision": (),
    "torchvision.models": (),
    "torchvision.models.resnet": ("BasicBlock", "Bottleneck"),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
    "torchvision.ops": ("box_iou",),
}


@contextmanager
def importable_torchvision() -> Iterator[None]:
    """Let torchvision be imported inside the block; the stand-in goes with it, so that nobody else meets it."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        yield
        return
    for module_name, names in NAMES.items():
        module = ModuleType(module_name, "A stand-in for torchvision, which is not installed.")
        for name in names:
            setattr(module, name, type(name, (_Missing,), {"__module__": module_name}))
        sys.modules[module_name] = module
        before, _, last = module_name.rpartition(".")
        if before:
            setattr(sys.modules[before], last, module)
    try:
        yield
    finally:
        for module_name in NAMES:
            del sys.modules[module_name]


class _Missing:
    """Something of torchvision that is not there."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise ImportError(f"{type(self).__module__}.{type(self).__name__} needs torchvision, which is not installed.")
