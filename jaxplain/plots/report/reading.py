"""From a store, and the images if they are at hand, to what the report says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxplain._errors import InputError
from jaxplain.io.sources.base import Source
from jaxplain.io.status import OK, REASONS
from jaxplain.io.store import ROWS, Store
from jaxplain.plots.report import results as peppr
from jaxplain.plots.report.content import GlobalMap, Label, MethodMaps, Quarantined, ReportContent
from jaxplain.plots.report.examples import RULE, examples_of, plane
from jaxplain.plots.report.facts import resolved_job, run_facts, settings_text, steps_text
from jaxplain.plots.wording import readable

MAX_LABELS = 24
MAX_QUARANTINED = 100
RUN = "run.json"
"""Key under which a run may leave further facts, such as images/s and peak memory."""


def report_content(
    store: Store, source: Source | None = None, *, examples: int = 2, facts: Mapping[str, Any] | None = None
) -> ReportContent:
    """Read what a report says; nothing is computed that the store does not hold.

    Args:
        store: An open store, finished or not.
        source: The images of the run; without them the examples are maps alone.
        examples: Number of examples per label.
        facts: Further facts of the run, name to value; they add to those that the store holds.

    Returns:
        The content of the page; at most ``MAX_LABELS`` labels, those with the most images, have maps and curves.

    Raises:
        InputError: If the source is not the one of the run.
    """
    manifest = store.manifest
    if source is not None and len(source) != manifest.get("images", len(source)):
        raise InputError(
            f"report: the source has {len(source)} images, the store {manifest['images']}; pass the run's own source."
        )
    rows = _Rows(store)
    methods = list(dict.fromkeys([*manifest.get("methods", {}), *store.names]))
    found = {name: _attributes(store, name) for name in methods if store.has_globals(name)}
    names = _label_names(manifest, source, rows.labels, found)
    counts = rows.label_counts(len(names))
    labels = tuple(Label(index, name, int(counts[index])) for index, name in enumerate(names))
    shown = sorted(sorted(range(len(names)), key=lambda index: (-counts[index], index))[:MAX_LABELS])
    remarks, omitted = _remarks(store, rows, labels, methods, found, source), []
    if len(shown) < len(names):
        omitted.append(
            f"Maps, examples and curves are shown for {len(shown)} of {len(names)} labels, those with the most images. "
            "The others are in the store."
        )
    maps = tuple(_method_maps(store, name, found.get(name), labels, shown) for name in methods)
    sweeps = store.peppr()
    if sweeps is not None and sweeps.get("schema") != peppr.SCHEMA:
        remarks.append("The results of the sweeps have an unknown format and are left out; run jaxplain peppr again.")
        sweeps = None
    drawn = examples_of(store, source, rows.labels, rows.usable, names, shown, methods, found, examples)
    return ReportContent(
        title=_title(store),
        shape=_shape(manifest),
        summary=_summary(rows, labels, methods),
        labels=labels,
        methods=maps,
        examples=drawn,
        example_rule=RULE.format(examples),
        overall_sweeps=peppr.overall_sweeps(sweeps) if sweeps else (),
        label_sweeps=peppr.label_sweeps(sweeps, names, shown) if sweeps else (),
        sweep_settings=peppr.settings(sweeps) if sweeps else "",
        quarantined=_quarantined(store, source, rows.status),
        n_quarantined=int(np.count_nonzero(rows.status != OK)),
        omitted=tuple(omitted),
        remarks=tuple(remarks),
        facts=run_facts(manifest, {**_run_record(store), **(facts or {})}),
        job=resolved_job(manifest),
    )


class _Rows:
    """The figures per image of the finished shards."""

    def __init__(self, store: Store):
        fields = store.fields
        self.finished = store.finished_rows() if fields else np.zeros(0, bool)

        def field(name: str) -> np.ndarray | None:
            return store.rows(name, missing="fill") if name in fields else None

        status = field("status")
        self.status = np.zeros(len(self.finished), np.uint8) if status is None else status
        self.usable = self.finished & (self.status == OK)
        self.labels, self.predictions = field("label"), field("prediction")

    def label_counts(self, n_labels: int) -> np.ndarray:
        """Count the usable images of every label."""
        if self.labels is None:
            return np.zeros(n_labels, np.int64)
        usable = self.labels[self.usable]
        if usable.ndim == 2:
            return np.asarray((usable > 0).sum(axis=0))
        return np.bincount(usable[usable >= 0], minlength=n_labels)

    def accuracy(self) -> float | None:
        """Return the share of usable, labeled images predicted right; None with several labels per image."""
        if self.labels is None or self.predictions is None or self.labels.ndim != 1:
            return None
        counted = self.usable & (self.labels >= 0)
        return float(np.mean(self.predictions[counted] == self.labels[counted])) if counted.any() else None


def _attributes(store: Store, name: str) -> dict[str, Any]:
    """Return the groups and choices of a method's global maps, not the maps; those of a run that keeps no maps too."""
    node = store.storage.node(f"global/{name}") or {}
    return {"groups": [], **node.get("attributes", {})}


def _label_names(
    manifest: Mapping[str, Any], source: Source | None, labels: np.ndarray | None, found: Mapping[str, Any]
) -> list[str]:
    names = [str(name) for name in manifest.get("class_names") or (source.class_names if source else None) or ()]
    n_labels = len(names)
    if labels is not None and labels.size:
        n_labels = max(n_labels, labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1)
    for attributes in found.values():
        n_labels = max(n_labels, sum(group.startswith("label/") for group in attributes["groups"]))
    return [*names, *(f"label {index}" for index in range(len(names), n_labels))]


def _method_maps(
    store: Store, name: str, attributes: Mapping[str, Any] | None, labels: Sequence[Label], shown: Sequence[int]
) -> MethodMaps:
    spec = store.manifest.get("methods", {}).get(name, {})
    settings = settings_text(spec, name)
    if attributes is None:
        return MethodMaps(name, settings, remark="No global maps yet: run jaxplain finalize.")
    place = {group: index for index, group in enumerate(attributes["groups"])}
    dims = store.maps(name, missing="nan").dims if name in store.names else ("unknown",)
    count = store.storage.open_array(f"global/{name}/count").read(slice(None))
    mean = store.storage.open_array(f"global/{name}/mean")

    def chosen(groups: Sequence[tuple[str, str]]) -> tuple[GlobalMap, ...]:
        # One group at a time: all of them may be larger than memory.
        return tuple(
            GlobalMap(title, plane(mean.read([place[group]])[0]), int(count[place[group]]))
            for group, title in groups
            if group in place
        )

    nan_maps = int(attributes.get("nan_maps") or 0)
    return MethodMaps(
        name,
        settings,
        steps_text(attributes, channels=dims[-1] in ("c", "channel")),
        (attributes.get("steps") or {}).get("sign") == "signed",
        chosen([(group, group.removeprefix("overall/")) for group in place if group.startswith("overall/")]),
        chosen([(f"label/{index}", labels[index].name) for index in shown]),
        chosen([(f"prediction/{index}", labels[index].name) for index in shown]),
        f"{nan_maps:,} maps of sound images hold NaN." if nan_maps else "",
    )


def _remarks(
    store: Store,
    rows: _Rows,
    labels: Sequence[Label],
    methods: Sequence[str],
    found: Mapping[str, Any],
    source: Source | None,
) -> list[str]:
    remarks = []
    missing = int(np.count_nonzero(~rows.finished))
    if missing:
        remarks.append(f"The run is not finished: {missing:,} of {len(rows.finished):,} images are still to come.")
    for name in methods:
        if name in store.names and not store.complete(name) and not missing:
            remarks.append(f"The maps of {readable(name, 60)} are not finished.")
        elif name not in store.names:
            remarks.append(f"The maps of {readable(name, 60)} were not kept, so there are no examples of it.")
    empty = [label.name for label in labels if not label.count]
    if empty:
        listed = ", ".join(readable(name, 60) for name in empty[:10])
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        kind = "Labels" if len(empty) > 1 else "Label"
        remarks.append(f"{kind} without images, so without maps and curves: {listed}{more}.")
    bad = int(np.count_nonzero(rows.status != OK))
    if bad:
        verb = "images were" if bad > 1 else "image was"
        remarks.append(f"{bad:,} {verb} left out as unusable; see the list below.")
    if source is None:
        remarks.append("The images were not at hand, so the examples show maps alone.")
    if found and not all(name in found for name in methods):
        remarks.append("Some methods have no global maps yet; run jaxplain finalize.")
    return remarks


def _summary(rows: _Rows, labels: Sequence[Label], methods: Sequence[str]) -> tuple[tuple[str, str], ...]:
    figures = [(f"{len(rows.finished):,}", "images"), (f"{len(labels):,}", "labels"), (f"{len(methods):,}", "methods")]
    accuracy = rows.accuracy()
    if accuracy is not None:
        figures.append((f"{100 * accuracy:.1f} %", "predicted right"))
    figures.append((f"{np.count_nonzero(rows.status != OK):,}", "left out"))
    return tuple(figures)


def _quarantined(store: Store, source: Source | None, status: np.ndarray) -> tuple[Quarantined, ...]:
    bad = [int(row) for row in np.flatnonzero(status != OK)[:MAX_QUARANTINED]]
    reasons: dict[int, str] = {}
    names: Sequence[str] | None = None
    if source is not None and len(bad):
        source.read(bad)  # only reading says why an image is bad
        reasons, names = source.reasons, source.names
    elif len(bad) and (index := store.index) is not None:
        names = index.paths
    return tuple(
        Quarantined(
            row,
            names[row] if names is not None else f"image {row}",
            reasons.get(row) or REASONS.get(int(status[row]), f"status {status[row]}"),
        )
        for row in bad
    )


def _run_record(store: Store) -> dict[str, Any]:
    raw, record = store.storage.read(RUN), {}
    if raw is not None:
        try:
            record = dict(json.loads(raw))
        except (ValueError, TypeError) as error:
            where = store.storage.where(RUN)
            raise InputError(f"{where}: not a JSON table ({error}); delete it and write the report again.") from error
    done = store.finished(ROWS) if store.fields else ()
    return {"shards finished": len(done), **record}


def _title(store: Store) -> str:
    """Name the run after its folder; a folder called "store" after the one that it is in as well."""
    parts = [part for part in store.storage.url.split("/") if part]
    return "/".join(parts[-2:] if parts[-1:] == ["store"] else parts[-1:]) or store.storage.url


def _shape(manifest: Mapping[str, Any]) -> tuple[int, int] | None:
    shape = list(manifest.get("shape") or ())
    return (int(shape[0]), int(shape[1])) if len(shape) in (2, 3) else None
