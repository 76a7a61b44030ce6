"""How the global maps of a store were made last, or how its job wanted them."""

import json
from typing import Any

from jaxplain.cli.build import ORIGIN
from jaxplain.cli.sections import AggregateSection
from jaxplain.io.store import Store


def aggregation_of(store: Store, name: str) -> dict[str, Any]:
    """Return sign, pool, scale, select and exclude for a method.

    Args:
        store: The store.
        name: The method.
    """
    section = AggregateSection()
    chosen = {key: getattr(section, key) for key in ("sign", "pool", "scale", "select", "exclude")}
    if store.has_globals(name):
        attributes = store.globals(name)["attributes"]
        made = {**attributes.get("steps", {}), "select": attributes.get("select"), "exclude": attributes.get("exclude")}
    else:
        raw = store.storage.read(ORIGIN)
        made = {} if raw is None else json.loads(raw).get("job", {}).get("aggregate", {})
    chosen |= {key: value for key, value in made.items() if key in chosen and value is not None}
    chosen["exclude"] = tuple(chosen["exclude"])
    return chosen
