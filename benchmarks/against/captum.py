"""Captum's side of the pairs.

- Targets are class indices per image; maps are signed once ``Saliency`` is told so.
- ``IntegratedGradients`` has the same Gauss-Legendre rule; its inner batch counts steps times images.
- ``NoiseTunnel`` takes the noise's deviation in absolute numbers, ours is a fraction of each image's range; the images
  have one range. Maps are compared on the same noise, which is handed to it; timed is the tunnel with its own.
- ``LayerGradCam`` is brought to the image's size by its own ``interpolate``.
- ``Occlusion`` covers the last window's rest alike, and averages overlapping windows as we do. One window over all
  channels is one feature.
- ``DeepLift`` wants every ReLU and pooling once and apart: ``torch_side.separate``. Shares of pooling windows that
  overlap overwrite each other there and add up here; compared are maps with its rule mended (``captum_deeplift``),
  timed is the rule as it is.
- ``LRP`` is epsilon everywhere, which our preset ``captum`` follows; for networks without batch normalization.
- ``FeatureAblation`` takes the same segments, all channels of a pixel in one.
- ``KernelShap`` draws its coalitions by chance, as ours does beyond those that it always evaluates: both evaluate the
  network equally often, and the maps differ by their sampling errors.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import jax
import numpy as np
import torch
from captum.attr import (
    LRP,
    FeatureAblation,
    GuidedBackprop,
    IntegratedGradients,
    KernelShap,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Occlusion,
    Saliency,
)

from benchmarks.against.captum_deeplift import deeplift, mended_deeplift
from benchmarks.against.pair import KEY, Pair
from benchmarks.against.subjects import RANGE, Subject
from benchmarks.against.torch_side import Explain, Open, Setting
from jaxplain.core.noise import noisy_copies
from jaxplain.core.sampling import image_key
from jaxplain.core.segments import grid_segments
from jaxplain.engine.lift import id_words

SIGMA = 0.15
PLAYERS = (2, 3)
"""Segments of ``KernelShap``, along the first two axes of space: few, so that few evaluations suffice."""


def _plain(explain: Callable[[torch.nn.Module, Setting], Explain]) -> Callable[[int], Open]:
    """Lift what needs the network and the setting only."""

    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        yield explain(setting.network(subject.original), setting)

    return lambda samples: open_peer


def _saliency(network: torch.nn.Module, setting: Setting) -> Explain:
    method = Saliency(network)
    return lambda x, labels: method.attribute(x, target=labels, abs=False)


def _guided(network: torch.nn.Module, setting: Setting) -> Explain:
    method = GuidedBackprop(network)
    return lambda x, labels: method.attribute(x, target=labels)


def _relevance(network: torch.nn.Module, setting: Setting) -> Explain:
    method = LRP(network)
    return lambda x, labels: method.attribute(x, target=labels)


def _integrated(samples: int) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        method = IntegratedGradients(setting.network(subject.original))
        yield lambda x, labels: method.attribute(
            x, 0.0, target=labels, n_steps=samples, internal_batch_size=setting.inner
        )

    return open_peer


def _smooth(samples: int, tunnel: Callable[..., NoiseTunnel] = NoiseTunnel) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        method = tunnel(Saliency(setting.network(subject.original)))
        together = max(1, setting.inner // len(subject.images))
        yield lambda x, labels: method.attribute(
            x,
            target=labels,
            abs=False,
            nt_samples=samples,
            nt_samples_batch_size=together,
            stdevs=SIGMA * RANGE,
        )

    return open_peer


class SameNoise(NoiseTunnel):
    """The tunnel with jaxplain's noise instead of its own: sample after sample, for each image by its number."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.given = 0

    def _add_noise_to_inputs(self, n: int, inputs: Any, stdevs: Any) -> Any:
        (x,) = inputs
        images = np.moveaxis(x.detach().cpu().numpy(), 1, -1)
        copies = []
        for words, image in zip(id_words(np.arange(len(images))), images, strict=True):
            copy = noisy_copies(jax.numpy.asarray(image), image_key(KEY, words), SIGMA)
            copies += [np.asarray(copy(jax.numpy.int32(self.given + i))) for i in range(n)]
        self.given += n
        return (torch.from_numpy(np.moveaxis(np.stack(copies), -1, 1).copy()).to(x).requires_grad_(),)


@contextmanager
def _grad_cam(subject: Subject, setting: Setting) -> Iterator[Explain]:
    network = setting.network(subject.original)
    method = LayerGradCam(network, network.get_submodule(subject.layer.replace("/", ".")))

    def explain(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        maps = method.attribute(x, target=labels, relu_attributions=True)
        return LayerAttribution.interpolate(maps, x.shape[2:], "bilinear" if x.ndim == 4 else "trilinear")

    yield explain


def _occlusion(samples: int) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        method = Occlusion(setting.network(subject.original))
        window = _window(subject, samples)

        @torch.inference_mode()
        def explain(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return method.attribute(
                x,
                sliding_window_shapes=(x.shape[1], *window),
                strides=(x.shape[1], *window),
                baselines=0.0,
                target=labels,
                perturbations_per_eval=max(1, setting.inner // len(x)),
            )

        yield explain

    return open_peer


def _ablation(samples: int) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        method = FeatureAblation(setting.network(subject.original))
        segments = torch.from_numpy(_segments(subject, samples))[None, None]

        @torch.inference_mode()
        def explain(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            together = max(1, setting.inner // len(x))
            mask = segments.to(x.device)
            return method.attribute(x, 0.0, target=labels, feature_mask=mask, perturbations_per_eval=together)

        yield explain

    return open_peer


def _kernel_shap(samples: int) -> Open:
    @contextmanager
    def open_peer(subject: Subject, setting: Setting) -> Iterator[Explain]:
        method = KernelShap(setting.network(subject.original))
        segments = torch.from_numpy(_players(subject))[None, None]

        def explain(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            maps = [
                method.attribute(
                    one[None],
                    0.0,
                    target=label,
                    feature_mask=segments.to(x.device),
                    n_samples=samples,
                    perturbations_per_eval=setting.inner,
                )
                for one, label in zip(x, labels, strict=True)
            ]
            return torch.cat(maps)

        yield explain

    return open_peer


def _segments(subject: Subject, samples: int) -> np.ndarray:
    """Return a grid of about so many segments."""
    space = subject.images.shape[1:-1]
    return grid_segments(space, (_along(subject, samples),) * len(space))


def _players(subject: Subject) -> np.ndarray:
    space = subject.images.shape[1:-1]
    return grid_segments(space, PLAYERS + (1,) * (len(space) - 2))


def _window(subject: Subject, samples: int) -> tuple[int, ...]:
    """Return the size of windows of which about so many cover the image without overlap."""
    return tuple(-(-size // _along(subject, samples)) for size in subject.images.shape[1:-1])


def _along(subject: Subject, samples: int) -> int:
    """Return how many parts along each axis of space make about so many in all."""
    return max(1, round(samples ** (1 / (subject.images.ndim - 2))))


def _normalized(network: torch.nn.Module) -> bool:
    return any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def _zero(subject: Subject, samples: int) -> dict[str, Any]:
    return {"baseline": np.zeros(subject.images.shape[1:], np.float32)}


PAIRS = (
    Pair("captum", "gradient", "Saliency(abs=False)", _plain(_saliency)),
    Pair(
        "captum",
        "integrated_gradients",
        "IntegratedGradients",
        _integrated,
        lambda subject, samples: {**_zero(subject, samples), "n_steps": samples},
        cost="samples",
        inner=True,
    ),
    Pair(
        "captum",
        "smoothgrad",
        "NoiseTunnel(Saliency)",
        _smooth,
        lambda subject, samples: {"n_samples": samples, "sigma": SIGMA},
        cost="samples",
        agreeing=lambda samples: _smooth(samples, SameNoise),
        mapped="noise: absolute deviation there; compared on the same noise, timed with its own",
        inner=True,
    ),
    Pair(
        "captum",
        "grad_cam",
        "LayerGradCam(relu_attributions=True), interpolate",
        lambda samples: _grad_cam,
        lambda subject, samples: {"layer": subject.layer},
        serves=lambda subject: bool(subject.layer),
        hooks=True,
    ),
    Pair(
        "captum",
        "occlusion",
        "Occlusion",
        _occlusion,
        lambda subject, samples: {
            **_zero(subject, samples),
            "window": _window(subject, samples),
            "stride": _window(subject, samples),
        },
        cost="windows",
        inner=True,
    ),
    Pair(
        "captum",
        "feature_ablation",
        "FeatureAblation",
        _ablation,
        lambda subject, samples: {**_zero(subject, samples), "segments": _segments(subject, samples)},
        cost="windows",
        inner=True,
    ),
    Pair(
        "captum",
        "kernel_shap",
        "KernelShap",
        _kernel_shap,
        lambda subject, samples: {
            **_zero(subject, samples),
            "segments": _players(subject),
            # Pairs, besides the two ends and, of each player, with it alone and without it alone.
            "n_samples": max(1, samples // 2 - prod(PLAYERS) - 1),
            "whole": False,
        },
        cost="coalitions",
        differs="coalitions drawn by chance: equal up to the sampling errors of both",
        inner=True,
    ),
    Pair(
        "captum",
        "guided_backprop",
        "GuidedBackprop",
        _plain(_guided),
        serves=lambda subject: subject.relu,
        hooks=True,
    ),
    Pair(
        "captum",
        "deeplift",
        "DeepLift",
        lambda samples: deeplift,
        _zero,
        cost="relevance",
        serves=lambda subject: subject.relu,
        agreeing=lambda samples: mended_deeplift,
        mapped="every ReLU and pooling once and apart; compared with its rule for overlapping windows mended",
        hooks=True,
    ),
    Pair(
        "captum",
        "lrp",
        "LRP",
        _plain(_relevance),
        lambda subject, samples: {"composite": "captum"},
        variant="captum",
        cost="relevance",
        serves=lambda subject: subject.relu and not _normalized(subject.original),
        hooks=True,
    ),
)
