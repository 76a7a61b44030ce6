"""A small store with everything that a report reads, written as a run writes it."""

import itertools
import json

import numpy as np

from jaxplain.core.maps import MapSteps
from jaxplain.engine.finalize import finalize
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.encoding import encode
from jaxplain.io.groups import write_groups
from jaxplain.io.input import Input
from jaxplain.io.ledger import Ledger, Marker
from jaxplain.io.manifest import create_manifest
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources import array_source
from jaxplain.io.storage import Storage
from jaxplain.io.store import Store

N, SHAPE, SHARD = 60, (12, 16), 20
NAMES = ("cat", "<b>dog</b>", "owl", "empty $x$")
METHODS = ("gradient", "cam")
numbers = itertools.count()


def sample_store(
    url=None, *, several=False, targets=False, shards=3, globals_=True, sweeps=True, names=NAMES, sign="absolute"
):
    """Write a store; return it with its source.

    Args:
        url: Place; None for one in memory.
        several: Whether images have several labels.
        targets: Whether maps have a target axis.
        shards: How many of the three shards are finished.
        globals_: Whether the global maps are there.
        sweeps: Whether the results of the sweeps are there.
        names: Class names; the last label has no image.
        sign: How global maps treat signs.
    """
    rng = np.random.default_rng(0)
    storage = Storage.open(url or f"memory://report{next(numbers)}/run-7")
    n_labels = len(names)
    images = rng.random((N, *SHAPE, 3), np.float32)
    images[[4, 17], 0, 0] = np.nan
    label = rng.integers(0, n_labels - 1, N).astype(np.int32)
    if several:
        label = (rng.random((N, n_labels)) < 0.5).astype(np.int32)
        label[:, -1] = 0
    status = np.zeros(N, np.uint8)
    status[[4, 17]] = 2
    prediction = np.where(rng.random(N) < 0.7, label if not several else 0, 1).astype(np.int32)
    rows = {"label": label, "prediction": prediction, "target": prediction, "status": status}
    dims = ("image", "target") if targets else ("image",)
    axes = (n_labels,) if targets else ()
    maps = {
        "gradient": (rng.normal(size=(N, *axes, *SHAPE, 3)), (*dims, "y", "x", "channel")),
        "cam": (rng.random((N, *axes, 3, 4)), (*dims, "y", "x")),
    }
    spec = {"model": {"factory": "a:b"}, "input": {"mean": [0.5], "std": [2.0]}, "seed": 0, "<i>": "<i>&"}
    create_manifest(
        storage,
        {
            "job": spec,
            "methods": {"gradient": {"method": "gradient"}, "cam": {"method": "grad_cam", "layer": "conv_3"}},
            "class_names": list(names),
            "plan": {"batch": 20, "chunk": 4, "store": "float16"},
            "images": N,
            "shape": [*SHAPE, 3],
            "fingerprint": {"data": "abc123", "outputs": [[1.0]]},
            "versions": {"jax": "0.10.2"},
            "device": "cpu",
            "created": "2026-01-01T00:00:00Z",
        },
    )
    fields = {f"rows/{name}": (values, ("image", "class")[: values.ndim]) for name, values in rows.items()}
    for name, (values, names_of_axes) in maps.items():
        values = values.astype(np.float32)
        values[status != 0] = np.nan
        value, scale = encode(values, "float16", leading=len(dims))
        fields |= {f"maps/{name}/value": (value, names_of_axes), f"maps/{name}/scale": (scale, dims)}
    sink, ledger = StoreSink(storage), Ledger(storage)
    sink.create([ArraySpec(path, values.shape, values.dtype, axes, SHARD) for path, (values, axes) in fields.items()])
    for shard in range(shards):
        for path, (values, _) in fields.items():
            sink.write(path, shard * SHARD, values[shard * SHARD : (shard + 1) * SHARD]).result()
        for name in ("rows", *METHODS):
            ledger.mark(Marker(name, shard, shard * SHARD, SHARD))
    store = Store(storage)
    if globals_:

        def write(*group):
            write_groups(storage, *group)

        finalize(store, write, methods=METHODS, n_labels=n_labels, steps=MapSteps(sign=sign))
    if sweeps:
        storage.write("peppr/results.json", json.dumps(results(names)).encode())
    source = array_source(images, label.astype(np.uint8) if several else label, input=Input())
    return store, source


def results(names, *, own=False):
    """Make results of sweeps in their documented form; the last label is not defined."""
    n_labels, fractions = len(names), [0.0, 0.1, 0.5, 1.0]

    def estimate(value, shape=()):
        if value is None:
            return {"value": None, "low": None, "high": None}
        value = np.broadcast_to(value, shape)
        return {"value": value.tolist(), "low": (value - 0.02).tolist(), "high": (value + 0.02).tolist()}

    def order(name, kind, group, gap):
        measure = {}
        for mode, sign in (("erase", -1), ("restore", 1)):
            curve = np.array([0.5, 0.7 + gap / 2, 0.8 + gap / 2, 0.9])[::sign] - (gap / 2 if sign < 0 else 0)
            full = {**estimate(curve, (4,)), "area": estimate(0.7 + sign * gap / 2)}
            none = {"value": [None] * 4, "low": [None] * 4, "high": [None] * 4, "area": estimate(None)}
            measure[mode] = {"macro": full, "labels": [full] * (n_labels - 1) + [none]}
        measure["gap"] = {"macro": estimate(gap), "labels": [estimate(gap)] * (n_labels - 1) + [estimate(None)]}
        measure["fraction_for_95"] = {"macro": 0.4, "labels": [0.4] * (n_labels - 1) + [None]}
        return {"name": name, "kind": kind, "group": group, "reason": None, "auc": measure, "accuracy": measure}

    orders = [
        order(f"{name}/overall/macro", "method", "overall/macro", 0.3 - 0.1 * i) for i, name in enumerate(METHODS)
    ]
    if own:
        orders.append(order("gradient/label/0", "method", "label/0", 0.35))
    orders.append({"name": "vargrad/overall/macro", "kind": "method", "group": "overall/macro", "reason": "no images"})
    orders += [order(f"random/{i}", "control", "random", 0.002 * (i - 4.5)) for i in range(10)]
    orders += [order("center", "control", "center", 0.1), order("energy", "control", "energy", 0.05)]
    return {
        "schema": 1,
        "images": N,
        "labels": list(names),
        "positives": [20] * (n_labels - 1) + [0],
        "fractions": fractions,
        "pixels": [0, 19, 96, 192],
        "baseline": "mean image",
        "resamples": 200,
        "level": 0.95,
        "macro": list(names[:-1]),
        "endpoints": {},
        "orders": orders,
        "controls": {},
        "reasons": {names[-1]: "no positives"},
    }
