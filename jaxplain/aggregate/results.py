"""The results of PEPPR as JSON values; written as ``peppr/results.json``. Schema 1.

::

    schema          1
    images          number of images
    labels          name per label
    positives       images per label
    fractions       share of pixels taken at each step, 0 to 1
    pixels          the same in pixels
    baseline        what a blank pixel shows
    resamples       number of bootstrap resamples; 0 means no intervals
    level           coverage of the intervals
    macro           names of the labels that enter the macro average
    endpoints       {"auc" | "accuracy": {"full" | "blank": {macro, labels}}}, each an estimate without area
    orders          a list, methods first:
        name        such as "smoothgrad/overall/macro", "random/3", "center", "energy"
        kind        "method" or "control"
        group       group of the global map, or the family of the control
        reason      null, or why the order does not exist; then nothing but these four keys follows
        auc         {"erase" | "restore": {"macro": curve, "labels": [curve, ...]},
        accuracy     "gap": {"macro": estimate, "labels": [...]}, "fraction_for_95": {"macro": number, "labels": [...]}}
    controls        per family: {"auc" | "accuracy": {"n", "mean", "sd"}} of the macro gap over the family's orders
    reasons         label name -> why its AUC is not defined

A curve is ``{"value", "low", "high"}``, lists over the steps, with ``"area"``, an estimate; an estimate is
``{"value", "low", "high"}``, numbers. The gap is the area of restoring minus the area of erasing, the number to compare
orders by: near 0 for a random order. ``fraction_for_95`` is the restored fraction with 95 % of the gain from the blank
to the full image. What is not defined is null.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxplain.aggregate.curves import MODES, Estimate, Measured, Scored, estimate
from jaxplain.aggregate.peppr import Order

SCHEMA = 1
ENDS = ("full", "blank")


def results(
    scored: Scored,
    at_ends: Mapping[str, np.ndarray],
    orders: Sequence[Order],
    measured: Sequence[Mapping[str, Measured]],
    *,
    labels: Sequence[str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Put the results together.

    Args:
        scored: What the orders share.
        at_ends: From ``curves.ends``.
        orders: The orders; those without ranks are listed with their reason.
        measured: What was measured of each order.
        labels: Name per label.
        facts: Further keys, such as "baseline" and "seed".
    """
    order_entries = [_order(order, found) for order, found in zip(orders, measured, strict=True)]
    ends = {
        name: {end: _by_label(estimate(values[number], scored.level)) for number, end in enumerate(ENDS)}
        for name, values in at_ends.items()
    }
    return {
        "schema": SCHEMA,
        "images": len(scored.truth),
        "labels": list(labels),
        "positives": scored.truth.sum(axis=0).tolist(),
        "fractions": list(scored.steps.fractions),
        "pixels": scored.steps.counts.tolist(),
        "resamples": scored.weights.shape[1] - 1,
        "level": scored.level,
        "macro": [labels[label] for label in scored.macro],
        "endpoints": ends,
        "orders": order_entries,
        "controls": _controls(orders, measured),
        "reasons": {labels[label]: reason for label, reason in scored.reasons().items()},
        **facts,
    }


def _order(order: Order, found: Mapping[str, Measured]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": order.name,
        "kind": order.kind,
        "group": order.group,
        "reason": order.reason or None,
    }
    if order.ranks is None:
        return entry
    for name, measure in found.items():
        per_mode: dict[str, Any] = {}
        for number, mode in enumerate(MODES):
            curve = _by_label(_part(measure.curve, (number, slice(None))))
            areas = _by_label(_part(measure.area, (number,)))
            for one, area in zip([curve["macro"], *curve["labels"]], [areas["macro"], *areas["labels"]], strict=True):
                one["area"] = area
            per_mode[mode] = curve
        needed = [_number(value) for value in measure.fraction_for_95]
        per_mode["gap"] = _by_label(measure.gap)
        per_mode["fraction_for_95"] = {"macro": needed[-1], "labels": needed[:-1]}
        entry[name] = per_mode
    return entry


def _controls(orders: Sequence[Order], measured: Sequence[Mapping[str, Measured]]) -> dict[str, Any]:
    families: dict[str, Any] = {}
    for family in dict.fromkeys(order.group for order in orders if order.kind == "control"):
        members = [
            found
            for order, found in zip(orders, measured, strict=True)
            if order.kind == "control" and order.group == family
        ]
        families[family] = {
            name: _spread(np.array([found[name].gap.value[-1] for found in members])) for name in members[0]
        }
    return families


def _spread(gaps: np.ndarray) -> dict[str, Any]:
    sd = float(gaps.std(ddof=1)) if len(gaps) > 1 else float("nan")
    return {"n": len(gaps), "mean": _number(gaps.mean()), "sd": _number(sd)}


def _part(estimate: Estimate, index: tuple[Any, ...]) -> Estimate:
    return Estimate(estimate.value[index], estimate.low[index], estimate.high[index])


def _by_label(estimate: Estimate) -> dict[str, Any]:
    """Split the label axis, the last, whose last entry is macro."""
    parts = [
        {name: _json(getattr(estimate, name)[..., label]) for name in ("value", "low", "high")}
        for label in range(estimate.value.shape[-1])
    ]
    return {"macro": parts[-1], "labels": parts[:-1]}


def _json(values: np.ndarray) -> Any:
    return [_number(value) for value in values] if np.ndim(values) else _number(values)


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
