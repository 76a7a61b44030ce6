"""Example images with the maps of every method, pooled over channels and ready to be drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxplain.core.maps import pool, sign
from jaxplain.io.maparray import MapArray
from jaxplain.io.sources.base import Source
from jaxplain.io.store import Store
from jaxplain.plots.overlay import bounded, displayed
from jaxplain.plots.report.content import Example
from jaxplain.plots.wording import readable

LONGEST = 448
"""Pixels of the longer side of what is kept of an image or a map: more than any tile shows."""
RULE = "The first {} usable images of every label in the order of the data, not chosen by their looks."


def examples_of(
    store: Store,
    source: Source | None,
    labels: np.ndarray | None,
    usable: np.ndarray,
    names: Sequence[str],
    shown: Sequence[int],
    methods: Sequence[str],
    found: Mapping[str, Any],
    count: int,
) -> tuple[tuple[str, tuple[Example, ...]], ...]:
    """Return ``count`` examples of every shown label; of images without labels the first few.

    Args:
        store: The open store.
        source: The images, or None.
        labels: ``(n,)`` or ``(n, labels)``, or None.
        usable: ``(n,)`` whether an image is finished and sound.
        names: Name per label.
        shown: Numbers of the labels.
        methods: Names of the methods.
        found: Attributes of the global maps by method, whose recorded sign and pooling the examples share.
        count: Examples per label.
    """
    chosen: list[tuple[int | None, np.ndarray]] = []
    if labels is not None:
        for label in shown:
            members = labels[:, label] > 0 if labels.ndim == 2 else labels == label
            chosen.append((label, np.flatnonzero(members & usable)[:count]))
    if not any(len(rows) for _, rows in chosen):
        chosen = [(None, np.flatnonzero(usable)[: 4 * count])]
    picked = np.unique(np.concatenate([rows for _, rows in chosen]))
    if not len(picked):
        return ()
    read = _Reader(store, source, picked, methods, found)
    return tuple(
        (
            "unlabeled" if label is None else names[label],
            tuple(read.example(int(row), label, labels, names) for row in rows),
        )
        for label, rows in chosen
        if len(rows)
    )


class _Reader:
    """The images and figures of all examples; maps, which may be large, are read and pooled one by one."""

    def __init__(
        self, store: Store, source: Source | None, rows: np.ndarray, methods: Sequence[str], found: Mapping[str, Any]
    ):
        self._place = {int(row): number for number, row in enumerate(rows)}
        self._maps: dict[str, tuple[MapArray, Mapping[str, str]]] = {}
        for name in methods:
            if name in store.names:
                steps = dict(found.get(name, {}).get("steps") or {})
                self._maps[name] = (store.maps(name, missing="nan"), steps)
        fields = store.fields
        self._rows = {
            field: store.rows(field, rows=rows, missing="fill") for field in ("prediction", "target") if field in fields
        }
        index = store.index if source is None else None
        self._names = source.names if source is not None else index.paths if index is not None else None
        self._images = None
        if source is not None and len(source.shape) in (2, 3):
            self._images = _pixels(source, rows, store.manifest)

    def example(self, row: int, label: int | None, labels: np.ndarray | None, names: Sequence[str]) -> Example:
        at = self._place[row]
        called = self._names[row] if self._names is not None else f"row {row:,}"
        predicted = int(self._rows["prediction"][at]) if "prediction" in self._rows else -1
        several = labels is not None and labels.ndim == 2
        if labels is not None and several:
            owned = [names[int(number)] for number in np.flatnonzero(labels[row] > 0)]
            title = ", ".join(readable(name, 40) for name in owned[:4]) + (", …" if len(owned) > 4 else "")
        else:
            title = "unlabeled" if label is None else names[label]
        right = None if several or label is None or predicted < 0 else predicted == label
        target = int(self._rows["target"][at]) if "target" in self._rows else -1
        if 0 <= target < len(names) and predicted >= 0 and target not in (predicted, label):
            called = f"{readable(called, 60)}, explained: {names[target]}"
        drawn = []
        for name, (maps, steps) in self._maps.items():
            pooled = _pooled(maps[row], maps.dims, steps, target if label is None or not several else label)
            if np.isfinite(pooled).any():
                drawn.append((name, pooled))
        image = None if self._images is None else self._images[at]
        prediction = names[predicted] if 0 <= predicted < len(names) else ""
        return Example(called, title, prediction, right, image, tuple(drawn))


def plane(values: np.ndarray) -> np.ndarray:
    """Return a map of any number of axes as (h, w) of at most ``LONGEST`` pixels.

    One axis becomes a row, axes before the last two are averaged.
    """
    values = np.asarray(values)
    if values.ndim < 2:
        return bounded(values.reshape(1, -1), LONGEST)
    return bounded(values.mean(axis=tuple(range(values.ndim - 2))), LONGEST)


def _pooled(values: np.ndarray, dims: Sequence[str], steps: Mapping[str, str], target: int) -> np.ndarray:
    """Choose the target, then apply the recorded sign and pooling; the scale is the picture's own."""
    if "target" in dims:
        values = values[min(max(target, 0), len(values) - 1)]
    values = sign(values, steps.get("sign", "signed"))  # type: ignore[arg-type]
    if dims[-1] in ("c", "channel"):
        values = pool(values, steps.get("pool", "sum"))  # type: ignore[arg-type]
    return plane(values)


def _pixels(source: Source, rows: np.ndarray, manifest: Mapping[str, Any]) -> list[np.ndarray]:
    """Undo the input's mean and std, then stretch all examples alike unless they already lie in [0, 1]."""
    how = (manifest.get("job") or {}).get("input") or {}
    mean, std = np.asarray(how.get("mean") or 0.0), np.asarray(how.get("std") or 1.0)
    shown = [bounded(source.read([int(row)]).image[0] * std + mean, LONGEST) for row in rows]
    low, high = min(float(image.min()) for image in shown), max(float(image.max()) for image in shown)
    if low >= -0.02 and high <= 1.02:
        low, high = 0.0, 1.0
    return [displayed(image, low, high) for image in shown]
