"""pytorch-grad-cam's side of the pairs.

Its maps keep the positive part, are stretched to 0 ... 1 per image before and after they are brought to the image's
size, and come as host arrays. The stretching is done to ours as well, inside the timed run.

Of the network only the layer and what follows needs gradients: the weights are frozen but the layer's own, at which
the backward pass then ends. Its Score-CAM brings masks to the image's size by aligned corners, ours by pixel centers,
so maps agree only for layers of the image's size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from benchmarks.against.pair import Pair
from benchmarks.against.subjects import Subject
from benchmarks.against.torch_side import Explain, Open, Setting
from benchmarks.against.torchvision_stand_in import importable_torchvision

with importable_torchvision():
    from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM, ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget


def _cam(method: Any) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        network = setting.network(subject.original)
        layer = network.get_submodule(subject.layer.replace("/", "."))
        begin_gradients_at(network, subject.layer.replace("/", "."))
        with method(model=network, target_layers=[layer]) as cam:
            cam.batch_size = setting.inner
            yield lambda x, labels: cam(x, [ClassifierOutputTarget(int(label)) for label in labels])

    return open_peer


def begin_gradients_at(network: torch.nn.Module, layer: str) -> None:
    """Let gradients be taken of the last weights in the layer or before it; weights are in the order of their use."""
    names = [name for name, _ in network.named_modules()]
    last_inside = max(i for i, name in enumerate(names) if name == layer or name.startswith(f"{layer}."))
    own = [list(network.get_submodule(name).parameters(recurse=False)) for name in names[: last_inside + 1]]
    for parameter in next(weights for weights in reversed(own) if weights):
        parameter.requires_grad_()


def stretched(maps: np.ndarray) -> np.ndarray:
    """Stretch every map to 0 ... 1 as pytorch-grad-cam does."""
    space = tuple(range(1, maps.ndim))
    lifted = maps - maps.min(axis=space, keepdims=True)
    return lifted / (1e-7 + lifted.max(axis=space, keepdims=True))


def _pair(method: str, theirs: Any, **more: Any) -> Pair:
    return Pair(
        "grad_cam",
        method,
        theirs.__name__,
        lambda samples: _cam(theirs),
        lambda subject, samples: {"layer": subject.layer, "relu": True},
        serves=lambda subject: bool(subject.layer),
        mapped="maps stretched to 0 ... 1 per image on both sides",
        finish=stretched,
        hooks=True,
        **more,
    )


PAIRS = (
    _pair("grad_cam", GradCAM),
    _pair("hires_cam", HiResCAM),
    _pair("layer_cam", LayerCAM),
    _pair("score_cam", ScoreCAM, inner=True, cost="windows", differs="masks by aligned corners there"),
)
