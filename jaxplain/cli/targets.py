"""The target of a job, with its class numbers checked against the network's outputs."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxplain._errors import InputError
from jaxplain.cli.sections import TargetSection
from jaxplain.core.targets import Logit, Logits, LogProb, Margin, Predicted, Prob, Target
from jaxplain.io.sources.base import Source

READINGS: dict[str, Any] = {"logit": Logit, "prob": Prob, "logprob": LogProb, "margin": Margin}


def build_target(section: TargetSection, source: Source, n_outputs: int | None, where: str) -> Target:
    """Make the target of a job.

    Args:
        section: The job's ``[target]``.
        source: The images, whose labels the kind "label" takes.
        n_outputs: Length of the network's output; None where it is no vector.
        where: The job file, for messages.

    Raises:
        InputError: A class number out of range, a missing label, or keys that do not go together.
    """
    if n_outputs is None:
        raise InputError(
            f"{where}: [target] needs a network with one vector of outputs per image; return the logits alone."
        )
    _refuse_idle_keys(section, where)
    reading = READINGS[section.of]
    match section.kind:
        case "predicted":
            return Predicted(reading)
        case "label":
            return reading(_labels(source, n_outputs, where))
        case "logit":
            if section.index is None:
                raise InputError(f'{where}: target.index is missing; kind = "logit" needs the number of one class.')
            return reading(np.int32(_in_range([section.index], n_outputs, "target.index", where)[0]))
        case "logits":
            if section.of != "logit":
                raise InputError(f'{where}: target.of = "{section.of}" does not go with kind = "logits"; leave it out.')
            indices = range(n_outputs) if section.indices == "all" else section.indices
            return Logits(jnp.asarray(_in_range(indices, n_outputs, "target.indices", where), jnp.int32))


def _refuse_idle_keys(section: TargetSection, where: str) -> None:
    for key, kind, idle in (("index", "logit", section.index is None), ("indices", "logits", section.indices == "all")):
        if section.kind != kind and not idle:
            raise InputError(f'{where}: target.{key} goes with kind = "{kind}", not with "{section.kind}"; change one.')


def _in_range(indices: Sequence[int], n_outputs: int, key: str, where: str) -> Sequence[int]:
    if not len(indices):
        raise InputError(f"{where}: {key} is empty; name at least one class.")
    for index in indices:
        if not 0 <= index < n_outputs:
            raise InputError(f"{where}: {key}: class {index} lies outside the network's outputs 0 ... {n_outputs - 1}.")
    return indices


def _labels(source: Source, n_outputs: int, where: str) -> np.ndarray:
    labels = source.labels
    if labels is None:
        raise InputError(
            f'{where}: target.kind = "label" but the source has no labels; name them in [labels] file or '
            'source.labels, or explain kind = "predicted".'
        )
    if labels.ndim != 1:
        raise InputError(
            f'{where}: target.kind = "label" needs one label per image, there are {labels.shape[1]} columns; '
            'explain kind = "logits".'
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= n_outputs))
    if len(wrong):
        row = int(wrong[0])
        image = row if source.names is None else repr(source.names[row])
        what = "has no label" if labels[row] < 0 else f"has label {labels[row]}, outside 0 ... {n_outputs - 1}"
        raise InputError(
            f"{where}: image {image} {what} ({len(wrong)} such images); mend [labels] or the model, "
            'or explain kind = "predicted".'
        )
    return labels.astype(np.int32)
