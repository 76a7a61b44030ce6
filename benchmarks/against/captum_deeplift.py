"""Captum's DeepLIFT as it is, and with its rule for max-pooling windows that overlap mended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from captum.attr import DeepLift
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR

from benchmarks.against.subjects import Subject
from benchmarks.against.torch_side import Explain, Setting, separate


@contextmanager
def deeplift(subject: Subject, setting: Setting) -> Iterator[Explain]:
    """Open Captum's DeepLIFT as it is."""
    method = DeepLift(separate(setting.network(subject.original)))
    yield lambda x, labels: method.attribute(x, 0.0, target=labels)


@contextmanager
def mended_deeplift(subject: Subject, setting: Setting) -> Iterator[Explain]:
    """Open it with its rule of max-pooling mended, as maps are compared."""
    mended = mock.patch.dict(SUPPORTED_NON_LINEAR, {torch.nn.MaxPool2d: added_pooling})
    with mended, deeplift(subject, setting) as explain:
        yield explain


def added_pooling(
    module: Any, inputs: torch.Tensor, outputs: torch.Tensor, grad_input: Any, grad_output: Any, eps: float
) -> torch.Tensor:
    """Captum's rule of max-pooling, with the shares of overlapping windows added up."""
    (x, reference), (y, y_reference) = inputs.chunk(2), outputs.chunk(2)
    largest = torch.maximum(y, y_reference)
    change = torch.cat([largest - y_reference, y - largest])
    knobs = (module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
    winners = torch.nn.functional.max_pool2d(inputs, *knobs, return_indices=True)[1].flatten(2)
    shares = torch.zeros_like(inputs).flatten(2).scatter_add(2, winners, (grad_output * change).flatten(2))
    total = torch.cat(2 * [sum(shares.view_as(inputs).chunk(2))])
    difference = torch.cat(2 * [x - reference])
    return torch.where(difference.abs() < eps, grad_input, total / difference)
