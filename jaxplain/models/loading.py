"""Reference networks with the weights of a checkpoint."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.adapters.linen import from_linen
from jaxplain.adapters.tensorfile import read_safetensors
from jaxplain.core.model import Model
from jaxplain.models.architecture import Architecture
from jaxplain.models.architectures import find_architecture
from jaxplain.models.checkpoint import Misfits, misfits, tensor_shapes, variables_from
from jaxplain.models.preprocessing import Preprocessing

_WRAPPER = re.compile(r"^(module\.|_orig_mod\.)+")  # of torch's DataParallel and torch.compile, around every name


class Pretrained(NamedTuple):
    """A network with its weights, and what its images go through before.

    Attributes:
        model: What `jaxplain.explain` takes.
        preprocessing: From an image to the network's input.
    """

    model: Model
    preprocessing: Preprocessing


def load(
    name: str,
    path: str | Path,
    *,
    naming: str | None = None,
    classes: int | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Pretrained:
    """Build a reference network and give it the weights of a safetensors file.

    Args:
        name: A name of `jaxplain.models.ARCHITECTURES`, for example ``"resnet50"``.
        path: A ``.safetensors`` file with the tensors of the PyTorch network, in float32, float16 or bfloat16; a
            relative path starts at the working directory.
        naming: Whose names the tensors have: ``"torchvision"``, ``"timm"``, ``"huggingface"``; found from the names in
            the file by default. Where two libraries use the same names, the first of the architecture's namings
            is taken, so name the other one if its preprocessing is wanted.
        classes: Outputs of the file's last layer, if they differ from those of the published weights.
        input_shape: Of one example, ``(h, w, c)``, if position embeddings in the file are those of another size.

    Returns:
        The model, float32, and the preprocessing with which such weights were published. A network trained otherwise
        has its own: ``dataclasses.replace(found.preprocessing, resize=232)``.

    Raises:
        InputError: The architecture or the naming is unknown, the file is no safetensors file, or its tensors do not
            fit: missing, extra and misshapen ones are named in one message.

    Example:
        >>> load("resnet51", "weights.safetensors")
        Traceback (most recent call last):
        jaxplain._errors.InputError: load: unknown architecture 'resnet51'; did you mean 'resnet50' ...
    """
    architecture = find_architecture(name, where="load")
    if naming is not None and naming not in architecture.namings:
        raise unknown(f"load: {name}", "naming", naming, architecture.namings)
    if classes is not None and classes < 1:
        raise InputError(f"load: classes must be at least 1, got {classes}.")
    stored = {_WRAPPER.sub("", name): tensor for name, tensor in read_safetensors(path, where="load").items()}
    needed = architecture.variables(classes, input_shape)
    spoken = naming or _naming_of(architecture, stored, set(tensor_shapes(needed)))
    tensors = architecture.namings[spoken].canonical(stored, where=f"load: {path}")
    wrong = misfits(needed, tensors)
    if any(wrong):
        remedy = _remedy(architecture, wrong, tensors, naming)
        raise InputError(f"load: {path} is no {name} ({spoken} names); {remedy}; {wrong.text()}")
    module = architecture.module(classes, **architecture.namings[spoken].options)
    return Pretrained(from_linen(module, variables_from(needed, tensors)), architecture.preprocessing[spoken])


def _naming_of(architecture: Architecture, stored: dict[str, np.ndarray], wanted: set[str]) -> str:
    """Return the naming that finds most of the wanted tensors; the first one of equals."""
    scores = {key: naming.score(list(stored), wanted) for key, naming in architecture.namings.items()}
    return max(scores, key=lambda key: scores[key])


def _remedy(architecture: Architecture, wrong: Misfits, tensors: dict[str, np.ndarray], naming: str | None) -> str:
    head = f"{architecture.head}.weight"
    if wrong.misshapen and not wrong.missing and not wrong.extra:
        only_head = not set(wrong.misshapen) - {head, f"{architecture.head}.bias"}
        if only_head and head in wrong.misshapen and tensors[head].shape[1:] == wrong.misshapen[head][1][1:]:
            return f"its last layer has other outputs, pass classes={tensors[head].shape[0]}"
        if set(wrong.misshapen) == {architecture.positions}:
            return "it is of images of another size, pass input_shape="
    if naming is not None and len(architecture.namings) > 1:
        return "pass the file of this architecture, or leave out naming= to have it found"
    return "pass the file of this architecture, with its head, as PyTorch's state_dict holds it"
