"""Global maps of a store, made by the engine's ``finalize`` and told to whoever watches."""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

from jaxplain.cli.build import label_count, label_numbers
from jaxplain.core.maps import MapSteps
from jaxplain.engine.events import Advanced, Event, Finished, Noted, Started, Watcher
from jaxplain.engine.finalize import finalize
from jaxplain.io.groups import write_groups
from jaxplain.io.store import ROWS, Store

STAGE = "aggregate"


def make_globals(
    store: Store,
    methods: Sequence[str],
    *,
    steps: MapSteps,
    select: str,
    exclude: tuple[str | int, ...] = (),
    watch: Watcher,
) -> None:
    """Compute the global maps of finished methods, and note labels that have no images.

    Args:
        store: The store.
        methods: Names of the methods.
        steps: Sign, pooling and scale.
        select: Which images belong to a label.
        exclude: Labels, by name or number, that stay out of the macro map.
        watch: Called with events.

    Raises:
        InputError: Unfinished shards, or labels or targets that do not fit.
    """
    names = tuple(store.manifest.get("class_names", ()))
    n_labels = store_labels(store)
    of = made_of(store, methods)

    def write(name: str, *content: Any) -> None:
        write_groups(store.storage, name, *content, facts={"made_of": of[name]})

    began = time.perf_counter()
    watch(Started(STAGE, sum(len(store.maps(name)) for name in methods)))
    made = finalize(
        store,
        write,
        methods=methods,
        n_labels=n_labels,
        steps=steps,
        select=select,  # type: ignore[arg-type]
        exclude=label_numbers(exclude, names, n_labels, "aggregate"),
        watch=_one_stage(watch),
    )
    empty = {group for maps in made.values() for group in maps.attributes["reasons"] if group.startswith("label/")}
    for group in sorted(empty, key=lambda group: int(group.partition("/")[2])):
        number = int(group.partition("/")[2])
        name = names[number] if number < len(names) else number
        watch(Noted(STAGE, f"label {name}: no images, so its global maps are NaN"))
    watch(Finished(STAGE, time.perf_counter() - began))


def _one_stage(watch: Watcher) -> Watcher:
    """Turn the engine's stage per method into parts of one stage over all of them."""
    method = ""

    def translate(event: Event) -> None:
        nonlocal method
        match event:
            case Started():
                method = str((event.facts or {}).get("method", ""))
            case Advanced():
                watch(Advanced(STAGE, event.units, method))
            case Noted():
                watch(Noted(STAGE, event.text))

    return translate


def store_labels(store: Store) -> int:
    """Return the number of labels of a store."""
    outputs = store.manifest.get("job", {}).get("model", {}).get("outputs")
    return label_count(store.rows("label"), outputs, tuple(store.manifest.get("class_names", ())))


def made_of(store: Store, methods: Sequence[str]) -> dict[str, str]:
    """Return, per method, a hash of all shards that its global maps are made of."""

    def shards(name: str) -> list[Any]:
        finished = store.ledger.finished(name)
        return [[name, number, sorted(marker.checksums.items())] for number, marker in finished.items()]

    rows = shards(ROWS)
    return {name: hashlib.sha256(json.dumps(rows + shards(name)).encode()).hexdigest()[:32] for name in methods}


def up_to_date(store: Store, name: str, of: str, steps: MapSteps, select: str, exclude: tuple[int, ...]) -> bool:
    """Tell whether the global maps of a method are there, and were made in this way of these shards (``made_of``)."""
    marker = store.ledger.finished(f"global/{name}").get(0)
    if marker is None or marker.facts.get("made_of") != of:
        return False
    attributes: dict[str, Any] = store.globals(name)["attributes"]
    made = (attributes.get("steps"), attributes.get("select"), tuple(attributes.get("exclude", ())))
    return made == ({"sign": steps.sign, "pool": steps.pool, "scale": steps.scale}, select, exclude)
