"""The peers' best setting: frozen weights, memory format and inner batch tried, on request autocast and compilation."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks.against.subjects import Subject
from benchmarks.record import rounded

THREADS = 2
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}

Explain = Callable[[torch.Tensor, torch.Tensor], Any]
"""Maps of a batch of images ``(n, c, h, w)`` and labels ``(n,)``: a tensor or an array, channels first."""


@dataclass(frozen=True)
class Setting:
    """How a peer runs.

    Args:
        device: "cpu" or "cuda".
        dtype: "float32", "bfloat16" for autocast, or "float64".
        compile: Whether the network goes through ``torch.compile``; not where a peer places hooks in it.
        channels_last: Whether weights and images have their channels last in memory.
        inner: Samples times images that a peer is told to evaluate together, where it can be told.
    """

    device: str = "cpu"
    dtype: str = "float32"
    compile: bool = False
    channels_last: bool = False
    inner: int = 8

    def network(self, original: torch.nn.Module) -> torch.nn.Module:
        """Return a copy of a network for inference, its weights without gradients."""
        network = copy.deepcopy(original).eval().requires_grad_(False).to(self.device, self.stored)
        if self.channels_last:
            for module in network.modules():
                for parameter in module.parameters(recurse=False):
                    if parameter.ndim in FORMATS:
                        parameter.data = parameter.data.contiguous(memory_format=FORMATS[parameter.ndim])
        return torch.compile(network) if self.compile else network

    def tensor(self, images: np.ndarray) -> torch.Tensor:
        """Return images ``(n, *space, c)`` as a host tensor ``(n, c, *space)`` of the setting's memory format."""
        images = torch.from_numpy(images).movedim(-1, 1).to(self.stored)
        return images.contiguous(memory_format=FORMATS[images.ndim] if self.channels_last else torch.contiguous_format)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of the precision."""
        return torch.autocast(self.device, torch.bfloat16) if self.dtype == "bfloat16" else nullcontext()

    @property
    def stored(self) -> torch.dtype:
        """The type that weights and images have."""
        return torch.float64 if self.dtype == "float64" else torch.float32


Open = Callable[[Subject, Setting], AbstractContextManager[Explain]]
"""Prepares a peer for a network and gives the function that explains; hooks are gone when the context ends."""


@contextmanager
def runner(open_peer: Open, subject: Subject, setting: Setting) -> Iterator[Callable[[], np.ndarray]]:
    """Give a function without arguments that explains the subject's images: from host memory to host memory."""
    host, host_labels = setting.tensor(subject.images), torch.from_numpy(subject.labels)
    with open_peer(subject, setting) as explain:

        def run() -> np.ndarray:
            with setting.autocast():
                maps = explain(host.to(setting.device), host_labels.to(setting.device))
            return maps.detach().float().cpu().numpy() if isinstance(maps, torch.Tensor) else maps

        yield run


def best(open_peer: Open, subject: Subject, setting: Setting, inner: Sequence[int]) -> tuple[Setting, dict[str, float]]:
    """Return the fastest of the memory formats, then of the inner batches, and the seconds of all that were tried."""
    tried: dict[str, float] = {}

    def fastest(settings: Sequence[Setting]) -> Setting:
        seconds = {one: _seconds(open_peer, subject, one) for one in settings}
        tried.update({_label(one): rounded(value) for one, value in seconds.items()})
        return min(seconds, key=lambda one: seconds[one])

    formats = [replace(setting, channels_last=last, inner=max(inner, default=setting.inner)) for last in (False, True)]
    chosen = fastest(formats)
    if len(set(inner)) > 1:
        chosen = fastest([replace(chosen, inner=n) for n in sorted(set(inner))])
    return chosen, tried


def separate(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network in which every ReLU and pooling is a module of its own, and no two of them touch.

    Captum's DeepLIFT keeps values at modules, so that a module that is used twice is refused; and of a ReLU followed
    directly by a pooling it loses one rule. Both are its advice or its workaround; the values stay what they are.
    """
    traced = torch.fx.symbolic_trace(network)
    modules = dict(traced.named_modules())
    acting = (torch.nn.ReLU, torch.nn.MaxPool2d)
    seen: set[str] = set()
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], acting):
            continue
        own = copy.deepcopy(modules[node.target])
        if isinstance(own, torch.nn.ReLU):
            own.inplace = False
        if node.target in seen:
            node.target = f"{node.target.replace('.', '_')}_use_{len(seen)}_{node.name}"
        seen.add(node.target)
        traced.add_submodule(node.target, own)
        with traced.graph.inserting_after(node):
            apart = traced.graph.call_function(torch.clone, (node,))
        node.replace_all_uses_with(apart, delete_user_cb=lambda user, apart=apart: user is not apart)
    traced.recompile()
    return traced


def _seconds(open_peer: Open, subject: Subject, setting: Setting) -> float:
    """Return the smallest of three runs after a first one."""
    with runner(open_peer, subject, setting) as run:
        run()
        found = []
        for _ in range(3):
            began = time.perf_counter()
            run()
            found.append(time.perf_counter() - began)
    return min(found)


def _label(setting: Setting) -> str:
    return f"{'channels last' if setting.channels_last else 'channels first'}, inner {setting.inner}"
