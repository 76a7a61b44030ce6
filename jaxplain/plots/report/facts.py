"""The facts of a run as pairs of text, from the manifest and whatever else is known."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

Facts = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

_SIGN = {"signed": "signed", "absolute": "absolute values", "positive": "positive part"}
_POOL = {"sum": "sum", "mean": "mean", "max": "value of largest magnitude", "norm": "Euclidean norm"}
_SCALE = {
    "none": "not scaled",
    "max": "each map divided by its maximum",
    "mass": "each map divided by its sum",
    "p99": "each map divided by its 99th percentile",
    "dataset_max": "all maps divided by the largest value of the data set",
    "dataset_p99": "all maps divided by the data set's 99th percentile",
}
_SELECT = {
    "true": "images that carry the label",
    "predicted": "images predicted to have the label",
    "true_and_predicted": "images that carry the label and are predicted to",
    "all": "all images",
}


def run_facts(manifest: Mapping[str, Any], run: Mapping[str, Any]) -> Facts:
    """Return the sections of the last part of the page.

    Args:
        manifest: The store's manifest.
        run: Further facts that the run reports, such as images/s and peak memory.
    """
    job = dict(manifest.get("job", {}))
    fingerprint = manifest.get("fingerprint", {})
    images = {
        "images": manifest.get("images"),
        "shape": manifest.get("shape"),
        **_named("source", job.pop("source", None)),
        **_named("input", job.pop("input", None)),
        **_named("labels", job.pop("labels", None)),
        "fingerprint": fingerprint.get("data") if isinstance(fingerprint, Mapping) else fingerprint,
    }
    running = {"device": manifest.get("device"), "created": manifest.get("created"), **run}
    sections = [
        ("Model", _named("", job.pop("model", None))),
        ("Images", images),
        ("Explained", {key: value for key, value in job.items() if key != "methods"}),
        ("Run", running),
        ("Plan", _named("", manifest.get("plan"))),
        ("Versions", _named("", manifest.get("versions"))),
    ]
    written = ((title, tuple(flat(values))) for title, values in sections)
    return tuple((title, pairs) for title, pairs in written if pairs)


def resolved_job(manifest: Mapping[str, Any]) -> str:
    """Return the parts of the manifest that say what was asked for, as JSON."""
    asked = {key: manifest[key] for key in ("job", "methods", "plan") if key in manifest}
    return json.dumps(asked, indent=2, sort_keys=True, ensure_ascii=False, default=str) if asked else ""


def steps_text(attributes: Mapping[str, Any], channels: bool) -> str:
    """Describe the named steps from a raw map to a global map."""
    steps = attributes.get("steps") or {}
    parts = [_SIGN.get(steps.get("sign", ""), "")]
    if channels and steps.get("pool"):
        parts.append(f"{_POOL.get(steps['pool'], steps['pool'])} over channels")
    parts.append(_SCALE.get(steps.get("scale", ""), ""))
    chosen = _SELECT.get(attributes.get("select", ""), "")
    text = ", ".join(part for part in parts if part)
    return f"{text}; {chosen}" if chosen and text else text or chosen


def settings_text(spec: Mapping[str, Any], name: str) -> str:
    """Describe a method and its knobs."""
    spec = dict(spec)
    method = spec.pop("method", name)
    knobs = [f"{key} {value}" for key, value in flat(spec)]
    return ", ".join(([] if method == name else [str(method)]) + knobs)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys and values as text; what is None or empty is left out.

    Example:
        >>> list(flat({"a": {"b": 2000}, "c": None}))
        [('a.b', '2,000')]
    """
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, name)
        elif value is not None and value != "" and value != []:
            yield name, text_of(value)


def text_of(value: Any) -> str:
    """Return a JSON value as text for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(text_of(one) for one in value[:8])
        return f"{shown}, … ({len(value):,} in all)" if len(value) > 8 else shown
    return str(value)


def _named(name: str, value: Any) -> dict[str, Any]:
    """Put a value under a name; a table without a name gives its own entries."""
    if isinstance(value, Mapping) and not name:
        return dict(value)
    return {} if value is None else {name or "name": value}
