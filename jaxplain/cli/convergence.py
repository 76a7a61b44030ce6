"""How far the methods of a store that sample until a tolerance is met have come."""

import numpy as np

from jaxplain.io.status import OK
from jaxplain.io.store import ROWS, Store


def converged(store: Store, name: str) -> str:
    """Return, for a method that stops by itself, the share of its images that met the tolerance; else nothing.

    Args:
        store: An open store; only finished shards count, and in them images that were not left out.
        name: A method, or another name of the ledger.
    """
    if f"converged/{name}" not in store.fields:
        return ""
    counted = store.finished_rows(name) & store.finished_rows(ROWS)
    counted &= store.rows("status", missing="fill") == OK
    if not counted.any():
        return ""
    met = store.rows(f"converged/{name}", missing="fill")[counted]
    used = store.rows(f"evaluations/{name}", missing="fill")[counted]
    tolerance = store.manifest.get("methods", {}).get(name, {}).get("tolerance")
    within = f" to {tolerance:g}" if tolerance is not None else ""
    return f", {met.mean():.1%} converged{within}, {np.median(used):,.0f} evaluations in the median"
