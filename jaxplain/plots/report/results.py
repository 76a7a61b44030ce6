"""From the results of PEPPR (``peppr/results.json``, schema 1) to curves and areas."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxplain.plots.areas import Area, Estimate
from jaxplain.plots.curves import Curve
from jaxplain.plots.report.content import Sweep
from jaxplain.plots.report.facts import text_of

SCHEMA = 1
_METRICS = {"auc": "ROC-AUC", "accuracy": "accuracy"}
_FAMILIES = {"center": "distance from the center", "energy": "energy of the mean image"}


def overall_sweeps(results: Mapping[str, Any]) -> tuple[Sweep, ...]:
    """Return the averages over labels: one sweep per measure and overall global map."""
    return tuple(
        _sweep(results, group, metric, label=None)
        for metric in _METRICS
        for group in _groups(results)
        if group.startswith("overall/")
    )


def label_sweeps(results: Mapping[str, Any], names: Sequence[str], shown: Sequence[int]) -> tuple[Sweep, ...]:
    """Return one sweep per label: its AUC under the order of its own global map, or of an overall one."""
    groups, sweeps = _groups(results), []
    overall = next((group for group in groups if group.startswith("overall/")), None)
    positives = results.get("positives") or []
    for label in shown:
        own = f"label/{label}"
        name = names[label]
        reason = (results.get("reasons") or {}).get(_label_name(results, label), "")
        if label >= len(positives) or (own not in groups and overall is None):
            continue
        if not positives[label] or reason:
            sweeps.append(Sweep(name, _METRICS["auc"], np.zeros(0), (), (), f"Not defined: {reason or 'no images'}."))
        else:
            sweeps.append(_sweep(results, own if own in groups else str(overall), "auc", label, name))
    return tuple(sweeps)


def settings(results: Mapping[str, Any]) -> str:
    """Describe how the sweeps were made."""
    n_steps = len(results.get("fractions") or []) - 1
    parts = [f"{n_steps} steps", f"{results.get('images', 0):,} images"]
    if results.get("baseline") is not None:
        baseline = results["baseline"]
        shown = (
            ", ".join(text_of(value) for value in baseline.values())
            if isinstance(baseline, Mapping)
            else text_of(baseline).replace("_", " ")
        )
        parts.append(f"erased pixels show: {shown}")
    resamples = results.get("resamples") or 0
    level = 100 * (results.get("level") or 0)
    parts.append(f"{level:g} % intervals from {resamples:,} bootstrap resamples" if resamples else "no intervals")
    return ", ".join(parts) + "."


def _groups(results: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(order["group"] for order in results.get("orders", ()) if order["kind"] == "method"))


def _lines(results: Mapping[str, Any]) -> dict[str, int]:
    """Number the methods, so that each keeps its color in every sweep."""
    methods = [order for order in results["orders"] if order["kind"] == "method"]
    titles = dict.fromkeys(order["name"].removesuffix(f"/{order['group']}") for order in methods)
    return {title: number for number, title in enumerate(titles)}


def _label_name(results: Mapping[str, Any], label: int) -> str:
    names = results.get("labels") or []
    return str(names[label]) if label < len(names) else str(label)


def _sweep(results: Mapping[str, Any], group: str, metric: str, label: int | None, name: str = "") -> Sweep:
    fractions = np.asarray(results["fractions"], np.float64)
    curves, areas, absent = [], [], []
    lines = _lines(results)
    for order in results["orders"]:
        if order["kind"] == "method" and order["group"] == group:
            title = order["name"].removesuffix(f"/{group}")
            if metric in order:
                curves.append(replace(_curve(order[metric], title, label, control=False), line=lines[title]))
                areas.append(_area(order[metric], title, label, control=False))
            else:
                absent.append(f"{title}: {order.get('reason') or 'no results'}")
    for family, members in _control_families(results, metric).items():
        drawn = [_curve(member[metric], family, label, control=True) for member in members]
        found = [_area(member[metric], family, label, control=True) for member in members]
        curves.append(_mean_curve(drawn) if len(members) > 1 else drawn[0])
        areas.append(_mean_area(found, curves[-1].name) if len(members) > 1 else found[0])
    source = "own map of this label" if group.startswith("label/") else f"{group.removeprefix('overall/')} map"
    title = name or f"Mean over labels, order of the {source}"
    remarks = [f"Order of the {source}."] if name and group.startswith("label/") else []
    counted, all_labels = results.get("macro") or [], results.get("labels") or []
    if label is None and len(counted) < len(all_labels):
        remarks.append(f"The mean is over {len(counted)} of {len(all_labels)} labels.")
    if absent:
        remarks.append(f"Without an order: {'; '.join(absent)}.")
    return Sweep(title, _METRICS[metric], fractions, tuple(curves), tuple(areas), " ".join(remarks))


def _control_families(results: Mapping[str, Any], metric: str) -> dict[str, list[Mapping[str, Any]]]:
    families: dict[str, list[Mapping[str, Any]]] = {}
    for order in results["orders"]:
        if order["kind"] == "control" and metric in order:
            family = order["group"] or order["name"]
            families.setdefault(_FAMILIES.get(family, family), []).append(order)
    return families


def _curve(measure: Mapping[str, Any], name: str, label: int | None, *, control: bool) -> Curve:
    erase, restore = (_pick(measure[mode], label) for mode in ("erase", "restore"))
    values = (_numbers(erase["value"]), _numbers(restore["value"]))
    return Curve(name, *values, _band(erase), _band(restore), control)


def _area(measure: Mapping[str, Any], name: str, label: int | None, *, control: bool) -> Area:
    erase, restore = (_estimate(_pick(measure[mode], label)["area"]) for mode in ("erase", "restore"))
    gap = _estimate(_pick(measure["gap"], label))
    fraction = Estimate(_number(_pick(measure["fraction_for_95"], label)))
    return Area(name, erase, restore, gap, fraction, control)


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """Average the orders of a family; the band is the range of the orders."""

    def spread(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return np.mean(values, axis=0), np.stack([np.min(values, axis=0), np.max(values, axis=0)])

    erase, erase_range = spread([curve.erase for curve in curves])
    restore, restore_range = spread([curve.restore for curve in curves])
    name = f"{curves[0].name} ({len(curves)} orders: mean, range)"
    return Curve(name, erase, restore, erase_range, restore_range, control=True)


def _mean_area(areas: Sequence[Area], name: str) -> Area:
    def spread(figures: Sequence[Estimate]) -> Estimate:
        values = np.array([figure.value for figure in figures])
        return Estimate(float(values.mean()), float(values.min()), float(values.max()))

    return Area(
        name,
        spread([area.erase for area in areas]),
        spread([area.restore for area in areas]),
        spread([area.difference for area in areas]),
        spread([area.fraction for area in areas]),
        control=True,
    )


def _pick(by_label: Mapping[str, Any], label: int | None) -> Any:
    return by_label["macro"] if label is None else by_label["labels"][label]


def _band(curve: Mapping[str, Any]) -> np.ndarray | None:
    band = np.stack([_numbers(curve["low"]), _numbers(curve["high"])])
    return band if np.isfinite(band).any() else None


def _estimate(figure: Mapping[str, Any]) -> Estimate:
    return Estimate(*(_number(figure[key]) for key in ("value", "low", "high")))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([_number(value) for value in values])
