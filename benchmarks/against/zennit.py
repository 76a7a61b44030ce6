"""Zennit's side of the pairs: layer-wise relevance propagation by composites.

Relevance starts at the label's logit on both sides. The composite is registered once for all runs. Three things must be
done to the network for the definitions to be the same, the first two by Zennit's own means: batch normalization is
merged into the layer before it; the residual sums of ResNets become modules; and what is left of a merged
normalization, ``x / sqrt(1 + 1e-5)``, is made the identity. Left alone, it tells at sums near zero, which divide large
contributions of both signs: over the blocks of ResNet-50 the maps then differ by 0.3 %. Zennit's norm rule adds a
stabilizer of 1e-6 at sums and averages, where ours has none; that is 3e-5 on a ResNet of four blocks, and is left.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from benchmarks.against.networks.resnet import BasicBlock, Bottleneck
from benchmarks.against.pair import Pair
from benchmarks.against.subjects import RANGE, Subject
from benchmarks.against.torch_side import Explain, Open, Setting
from benchmarks.against.torchvision_stand_in import importable_torchvision

with importable_torchvision():
    from zennit.attribution import Gradient
    from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
    from zennit.composites import (
        EpsilonAlpha2Beta1,
        EpsilonAlpha2Beta1Flat,
        EpsilonGammaBox,
        EpsilonPlus,
        EpsilonPlusFlat,
    )
    from zennit.layer import Sum
    from zennit.torchvision import ResNetBasicBlockCanonizer, ResNetBottleneckCanonizer

LOW, HIGH = -RANGE / 2, RANGE / 2
BLOCKS = {BasicBlock: ResNetBasicBlockCanonizer, Bottleneck: ResNetBottleneckCanonizer}


def sums_as_modules(name: str, module: torch.nn.Module) -> dict[str, Any] | None:
    """Return what Zennit sets in torchvision's ResNet blocks, for blocks of the same names and attributes."""
    canonizer = BLOCKS.get(type(module))
    return None if canonizer is None else {"forward": canonizer.forward.__get__(module), "canonizer_sum": Sum()}


def opened(make: Callable[..., Any]) -> Open:
    """Return the peer's side for a composite, which ``make`` gives for canonizers."""

    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        network = setting.network(subject.original)
        canonizer = CompositeCanonizer((SequentialMergeBatchNorm(), AttributeCanonizer(sums_as_modules)))
        with Gradient(network, make(canonizers=[canonizer])) as attributor:
            network.requires_grad_(False)  # the merge adds biases that would have gradients
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eps = 0.0

            def explain(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                def start(logits: torch.Tensor) -> torch.Tensor:
                    return logits * torch.nn.functional.one_hot(labels, logits.shape[1])

                return attributor(x, start)[1]

            yield explain

    return open_peer


def _boxed(**keywords: Any) -> Any:
    return EpsilonGammaBox(low=LOW, high=HIGH, **keywords)


def _bounds(subject: Subject, samples: int) -> dict[str, Any]:
    shape = subject.images.shape[1:]
    return {"low": np.full(shape, LOW, np.float32), "high": np.full(shape, HIGH, np.float32)}


def _pair(variant: str, make: Callable[..., Any], keywords: Any = lambda subject, samples: {}) -> Pair:
    return Pair(
        "zennit",
        "lrp",
        "EpsilonGammaBox" if make is _boxed else make.__name__,
        lambda samples: opened(make),
        lambda subject, samples: {"composite": variant, **keywords(subject, samples)},
        variant=variant,
        cost="relevance",
        serves=lambda subject: subject.relu,
        mapped="batch normalization merged to the end and residual sums made modules there",
        hooks=True,
    )


PAIRS = (
    _pair("epsilon_plus", EpsilonPlus),
    _pair("epsilon_plus_flat", EpsilonPlusFlat),
    _pair("epsilon_alpha2_beta1", EpsilonAlpha2Beta1),
    _pair("epsilon_alpha2_beta1_flat", EpsilonAlpha2Beta1Flat),
    _pair("epsilon_gamma_box", _boxed, _bounds),
)
