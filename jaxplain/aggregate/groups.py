"""Which images make up which global map.

Groups, by name: ``label/0`` ... per label, ``prediction/0`` ... per predicted label, ``overall/micro`` and
``overall/macro``. Micro counts every image once, or, where maps have a target axis, every (image, label) pair once: it
is count-weighted, so frequent labels dominate it. Macro is the plain mean of the label maps that have images, so that a
rare label weighs as much as a frequent one; its variance is that of the equal-weight mixture.

``select`` says which images belong to label l: "true" (they carry it), "predicted" (the model says so),
"true_and_predicted" (both) or "all". "all" compares targets on the same images and so needs maps with a target axis.

Maps without a target axis explain one score per image and enter every group their image belongs to. Maps with a target
axis of K labels enter group l with their l-th map only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from jaxplain._errors import InputError, unknown
from jaxplain.aggregate.moments import Moments, balanced, empty, merge, merge_all, moments_of

Select = Literal["true", "predicted", "true_and_predicted", "all"]


@dataclass(frozen=True)
class Grouping:
    """How images are sorted into groups.

    Args:
        n_labels: Number of labels; with a target axis also the number of targets.
        select: Which images belong to a label.
        targets: Whether maps have a target axis, after the image axis.
        exclude: Labels left out of the macro map, such as "any disease", which repeats the others.
    """

    n_labels: int
    select: Select = "true"
    targets: bool = False
    exclude: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.select not in get_args(Select):
            raise unknown("Grouping", "select", self.select, get_args(Select))
        if self.select == "all" and not self.targets:
            raise InputError(
                "Grouping: select 'all' would make every label's map the same, since the maps have no target axis; "
                "explain all logits, or pass 'true', 'predicted' or 'true_and_predicted'."
            )
        if any(not 0 <= label < self.n_labels for label in self.exclude):
            raise InputError(f"Grouping: exclude {self.exclude} names labels outside 0 to {self.n_labels - 1}.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all groups, in the order of the group axis."""
        per_label = [f"{kind}/{label}" for kind in ("label", "prediction") for label in range(self.n_labels)]
        return (*per_label, "overall/macro", "overall/micro")

    def moments(
        self, maps: np.ndarray, labels: np.ndarray, predictions: np.ndarray, valid: np.ndarray
    ) -> dict[str, Moments]:
        """Summarize one block of maps: moments of the groups present in it, without macro, which is made at the end.

        Args:
            maps: ``(n, [targets,] *space)`` after the map steps.
            labels: ``(n,)`` label per image, -1 for none, or ``(n, labels)`` of 0 and 1.
            predictions: The same for the predicted labels.
            valid: ``(n,)`` whether the image counts; the maps of others are never read.
        """
        truth, said = one_hot(labels, self.n_labels), one_hot(predictions, self.n_labels)
        match self.select:
            case "true":
                chosen = truth
            case "predicted":
                chosen = said
            case "true_and_predicted":
                chosen = truth & said
            case "all":
                chosen = np.ones_like(truth)
        members = {"label": chosen, "prediction": said}
        return self._by_target(maps, members, valid) if self.targets else _by_cell(maps, members, valid)

    def _by_target(self, maps: np.ndarray, members: Mapping[str, np.ndarray], valid: np.ndarray) -> dict[str, Moments]:
        """Summarize maps with a target axis: a label's group takes the map that explains that label."""
        found = {}
        for kind, belongs in members.items():
            for label in np.flatnonzero((belongs & valid[:, None]).any(axis=0)):
                found[f"{kind}/{label}"] = moments_of(maps[belongs[:, label] & valid, label])
        pairs = [found[name] for label in range(self.n_labels) if (name := f"label/{label}") in found]
        if pairs:
            found["overall/micro"] = merge_all(pairs, maps.shape[2:])
        return found

    def complete(self, found: Mapping[str, Moments], shape: tuple[int, ...]) -> dict[str, Moments]:
        """Add the groups without images, whose maps are NaN, and the macro map."""
        counted = [label for label in range(self.n_labels) if label not in self.exclude]
        macro = balanced((found[f"label/{label}"] for label in counted if f"label/{label}" in found), shape)
        whole = dict(found) | {"overall/macro": macro}
        return {name: whole.get(name, empty(shape)) for name in self.names}


def _by_cell(maps: np.ndarray, members: Mapping[str, np.ndarray], valid: np.ndarray) -> dict[str, Moments]:
    """Summarize maps that belong to several groups at once, each map being read once.

    Images that belong to the same groups make a cell; a group is the union of its cells.
    """
    rows = np.flatnonzero(valid)
    if not len(rows):
        return {}
    patterns, cell = np.unique(np.concatenate(list(members.values()), axis=1)[rows], axis=0, return_inverse=True)
    ordered, ends = rows[np.argsort(cell, kind="stable")], np.cumsum(np.bincount(cell))
    parts = [moments_of(maps[some]) for some in np.split(ordered, ends[:-1])]
    found, first = {}, 0
    for kind, belongs in members.items():
        for label in range(belongs.shape[1]):
            own = [part for part, pattern in zip(parts, patterns, strict=True) if pattern[first + label]]
            if own:
                found[f"{kind}/{label}"] = merge_all(own, maps.shape[1:])
        first += belongs.shape[1]
    return found | {"overall/micro": merge_all(parts, maps.shape[1:])}


def merge_groups(a: Mapping[str, Moments], b: Mapping[str, Moments]) -> dict[str, Moments]:
    """Combine the groups of two blocks; a group absent from one is taken from the other."""
    return dict(a) | {name: merge(a[name], part) if name in a else part for name, part in b.items()}


def one_hot(labels: np.ndarray, n_labels: int) -> np.ndarray:
    """Return ``(n, labels)`` booleans from label numbers (-1 = none) or from 0/1 columns.

    Raises:
        InputError: If a label is out of range or the columns do not fit.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2:
        if labels.shape[1] != n_labels:
            raise InputError(f"labels: {labels.shape[1]} columns for {n_labels} labels; pass one column per label.")
        return labels > 0
    if labels.size and not -1 <= labels.min() <= labels.max() < n_labels:
        row = int(np.flatnonzero((labels < -1) | (labels >= n_labels))[0])
        raise InputError(f"labels: {labels[row]} at row {row} lies outside -1 (none) to {n_labels - 1}.")
    return labels[:, None] == np.arange(n_labels)
