"""How a checkpoint calls its tensors, against how the original network of an architecture does.

The canonical name of a parameter is the dotted one of the original PyTorch network, for example
``layer1.0.conv1.weight``. A `Naming` says how the names of another library become canonical ones.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxplain._errors import InputError

Replacement = str | Callable[[re.Match[str]], str]

_PIECE = re.compile(r"\[(\d+)\]$")
_IGNORED = re.compile(r"(^|\.)num_batches_tracked$")


@dataclass(frozen=True)
class Naming:
    r"""Rewriting rules from the names of a checkpoint to canonical names.

    Attributes:
        renames: Pairs of a regular expression and what replaces its matches, as in ``re.sub``; all are applied, in this
            order. A tuple of replacements cuts the tensor into as many equal parts along its first axis. Names
            that end in ``[0]``, ``[1]``, ... afterwards are pieces of one tensor, joined along the first axis.
        ignored: Regular expression of names in the checkpoint that hold nothing the network needs.
        options: Keywords of the architecture's ``make`` for the weights of this library, such as another ``epsilon``.

    Example:
        >>> naming = Naming(((r"^encoder\.", ""), (r"query\.bias$", "qkv.bias[0]"), (r"value\.bias$", "qkv.bias[1]")))
        >>> naming.canonical({"encoder.value.bias": np.ones(2), "encoder.query.bias": np.zeros(2)})
        {'qkv.bias': array([0., 0., 1., 1.])}
    """

    renames: tuple[tuple[str, Replacement | tuple[Replacement, ...]], ...] = ()
    ignored: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def names(self, name: str) -> tuple[str, ...]:
        """Return the canonical names of what a checkpoint calls ``name``: none if it is ignored, several if cut."""
        if _IGNORED.search(name) or (self.ignored is not None and re.search(self.ignored, name)):
            return ()
        found = [name]
        for pattern, replacement in self.renames:
            options = replacement if isinstance(replacement, tuple) else (replacement,)
            found = [
                renamed
                for name in found
                for renamed in ([re.sub(pattern, o, name) for o in options] if re.search(pattern, name) else [name])
            ]
        return tuple(found)

    def score(self, names: list[str], wanted: set[str]) -> int:
        """Return how many of the wanted names this naming finds among the names of a checkpoint."""
        return len({_PIECE.sub("", found) for name in names for found in self.names(name)} & wanted)

    def canonical(self, tensors: Mapping[str, np.ndarray], *, where: str = "naming") -> dict[str, np.ndarray]:
        """Return the tensors of a checkpoint by their canonical names.

        Raises:
            InputError: Two tensors have the same canonical name, or a tensor cannot be cut into equal parts.
        """
        found: dict[str, np.ndarray] = {}
        for name, tensor in tensors.items():
            names = self.names(name)
            if len(names) > 1 and (not tensor.ndim or tensor.shape[0] % len(names)):
                raise InputError(
                    f"{where}: {name} of shape {tensor.shape} cannot be cut into {len(names)} equal parts; "
                    "pass the checkpoint of this architecture, or another naming."
                )
            parts = np.split(tensor, len(names)) if len(names) > 1 else [tensor] * len(names)
            for canonical, part in zip(names, parts, strict=True):
                if canonical in found:
                    raise InputError(f"{where}: two tensors are {canonical}, one of them {name}; keep one.")
                found[canonical] = part
        return _joined(found)


def _joined(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Join the pieces of a tensor, in the order of their numbers."""
    pieces: dict[str, dict[int, np.ndarray]] = {}
    whole: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        match = _PIECE.search(name)
        if match is None:
            whole[name] = tensor
        else:
            pieces.setdefault(name[: match.start()], {})[int(match[1])] = tensor
    for name, parts in pieces.items():
        whole[name] = np.concatenate([parts[number] for number in sorted(parts)])
    return whole
