"""From the scores of a sweep to curves of AUC and accuracy, with intervals from one shared bootstrap.

The resamples are shared by all steps, modes and labels, so that a resampled curve is a curve and areas, gaps and the
macro average get intervals in the same way. Macro is the plain mean over the labels whose value is defined, less those
the caller excludes. Accuracy is, for one label per image, the share of a label's images for which that label scores
highest (the first of equals; its macro average is the balanced accuracy); for several labels per image, the share of
images whose score lies on the right side of the threshold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxplain.aggregate.auc import column_blocks, presort, undefined, weighted
from jaxplain.aggregate.bootstrap import interval
from jaxplain.aggregate.peppr import area, fraction_for
from jaxplain.aggregate.steps import Steps

MODES = ("erase", "restore")
Read = Callable[[int, int, int], np.ndarray]
"""(order, mode, label) -> scores ``(masks, n)``."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A value with the bounds of its bootstrap interval, arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Measured:
    """One measure of performance along one order. The label axis ends with the macro average.

    Args:
        curve: ``(modes, fractions, labels + 1)``.
        area: ``(modes, labels + 1)``, trapezoid over the fractions.
        gap: ``(labels + 1,)``, the area of restoring minus that of erasing.
        fraction_for_95: ``(labels + 1,)``, the restored fraction that has 95 % of the gain from blank to full.
    """

    curve: Estimate
    area: Estimate
    gap: Estimate
    fraction_for_95: np.ndarray


@dataclass(frozen=True, eq=False)
class Scored:
    """What the curves of all orders share.

    Args:
        truth: ``(n, labels)`` booleans.
        steps: The steps of the sweep.
        weights: ``(n, 1 + resamples)``: ones, then how often each image occurs in each resample.
        one_label: Whether every image has one label, so that the highest score wins.
        macro: Labels that enter the macro average, if defined.
        level: Coverage of the intervals.
        threshold: Score above which a label counts as predicted, where images have several labels.
    """

    truth: np.ndarray
    steps: Steps
    weights: np.ndarray
    one_label: bool
    macro: tuple[int, ...]
    level: float = 0.95
    threshold: float = 0.0

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.truth.shape[1]

    def reasons(self) -> dict[int, str]:
        """Return why the AUC of a label is not defined, for the labels where it is not."""
        found = {label: undefined(self.truth[:, label]) for label in range(self.n_labels)}
        return {label: reason for label, reason in found.items() if reason}


def with_ones(counts: np.ndarray) -> np.ndarray:
    """Put the plain weighting, all ones, before the resamples."""
    return np.concatenate([np.ones((len(counts), 1), counts.dtype), counts], axis=1)


def ends(scored: Scored, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the full and the blank images.

    Args:
        scored: What the orders share.
        scores: ``(2, n, labels)``: of the full and of the blank images.

    Returns:
        "auc" and "accuracy", each ``(2, labels + 1, 1 + resamples)``.
    """
    per_label: dict[str, list[np.ndarray]] = {"auc": [], "accuracy": []}
    best = scores.argmax(axis=2)
    for label in range(scored.n_labels):
        per_label["auc"].append(_auc(scored, scores[:, :, label], label))
        per_label["accuracy"].append(_accuracy(scored, scores[:, :, label], best, label))
    return {name: _with_macro(scored, values) for name, values in per_label.items()}


def measure(scored: Scored, read: Read, order: int, at_ends: Mapping[str, np.ndarray]) -> dict[str, Measured]:
    """Measure one order.

    Args:
        scored: What the orders share.
        read: Gives the scores of one order, mode and label at a time.
        order: Number of the order.
        at_ends: From ``ends``.

    Returns:
        "auc" and "accuracy".
    """
    swept: dict[str, list[np.ndarray]] = {"auc": [], "accuracy": []}
    for mode in range(len(MODES)):
        best = _best(read, order, mode, scored) if scored.one_label else None
        aucs, accuracies = [], []
        for label in range(scored.n_labels):
            scores = read(order, mode, label)
            aucs.append(_auc(scored, scores, label))
            accuracies.append(_accuracy(scored, scores, best, label))
        swept["auc"].append(_with_macro(scored, aucs))
        swept["accuracy"].append(_with_macro(scored, accuracies))
    return {name: _measured(scored, inner, at_ends[name]) for name, inner in swept.items()}


def nowhere(scored: Scored) -> Measured:
    """Return the measure of an order that does not exist: NaN throughout."""
    modes, fractions, labels = len(MODES), len(scored.steps.fractions), scored.n_labels + 1
    nan = [np.full(shape, np.nan) for shape in ((modes, fractions, labels), (modes, labels), (labels,))]
    curve, areas, gap = (Estimate(array, array, array) for array in nan)
    return Measured(curve, areas, gap, nan[-1])


def _measured(scored: Scored, inner: Sequence[np.ndarray], at_ends: np.ndarray) -> Measured:
    """Join ``(masks, labels + 1, 1 + resamples)`` per mode with the ends, and take areas."""
    full, blank = at_ends
    fractions = scored.steps.fractions
    erase = scored.steps.expand(full, inner[0], blank)
    restore = scored.steps.expand(blank, inner[1], full)
    curves = np.stack([erase, restore])
    areas = area(curves.swapaxes(0, 1), fractions)
    needed = [fraction_for(restore[:, label, 0], fractions) for label in range(scored.n_labels + 1)]
    return Measured(
        estimate(curves, scored.level),
        estimate(areas, scored.level),
        estimate(areas[1] - areas[0], scored.level),
        np.array(needed),
    )


def estimate(values: np.ndarray, level: float) -> Estimate:
    """Split ``(..., 1 + resamples)`` into the plain value and the interval over the resamples."""
    return Estimate(values[..., 0], *interval(values[..., 1:], level))


def _auc(scored: Scored, scores: np.ndarray, label: int) -> np.ndarray:
    """Return ``(rows of scores, 1 + resamples)``."""
    positive = scored.truth[:, label]
    found = np.empty((len(scores), scored.weights.shape[1]))
    for number, row in enumerate(scores):
        found[number] = weighted(presort(row, positive), scored.weights)
    return found


def _accuracy(scored: Scored, scores: np.ndarray, best: np.ndarray | None, label: int) -> np.ndarray:
    """Return ``(rows of scores, 1 + resamples)``."""
    truth = scored.truth[:, label]
    if scored.one_label and best is not None:
        rows, right = truth, best[:, truth] == label
    else:
        rows, right = np.ones_like(truth), (scores > scored.threshold) == truth
    # Sums of whole numbers below 2**24 are exact in float32, where the product is fast.
    exact = np.float32 if len(truth) < 2**24 else np.float64
    right = right.astype(exact)
    found = np.full((len(scores), scored.weights.shape[1]), np.nan)
    for columns in column_blocks(scored.weights):
        weights = scored.weights[rows, columns].astype(exact)
        total = weights.sum(axis=0, dtype=np.float64)
        np.divide(right @ weights, total, out=found[:, columns], where=total > 0)
    return found


def _best(read: Read, order: int, mode: int, scored: Scored) -> np.ndarray:
    """Return ``(masks, n)``: the label that scores highest, the first of equals, reading one label at a time."""
    high = read(order, mode, 0).copy()
    best = np.zeros(high.shape, np.int32)
    for label in range(1, scored.n_labels):
        scores = read(order, mode, label)
        better = scores > high
        best[better] = label
        high[better] = scores[better]
    return best


def _with_macro(scored: Scored, per_label: Sequence[np.ndarray]) -> np.ndarray:
    """Stack labels on axis 1 and append their macro average; a resample in which a label is undefined stays out."""
    stacked = np.stack(per_label, axis=1)
    counted = [label for label in scored.macro if scored.truth[:, label].any() and not scored.truth[:, label].all()]
    macro = stacked[:, counted].mean(axis=1) if counted else np.full_like(stacked[:, 0], np.nan)
    return np.concatenate([stacked, macro[:, None]], axis=1)
