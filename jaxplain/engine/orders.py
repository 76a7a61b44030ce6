"""Orders of pixels from the global maps of a store."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from jaxplain._errors import unknown
from jaxplain.aggregate.peppr import Order, order_of
from jaxplain.core.ranking import Coarse


def global_orders(
    method: str,
    found: Mapping[str, Any],
    groups: Sequence[str] = ("overall/macro",),
    *,
    shape: tuple[int, ...],
    coarse: Coarse = "native",
) -> list[Order]:
    """Rank global maps of one method.

    Args:
        method: Its name; an order is called ``<method>/<group>``.
        found: ``groups`` (names) and ``mean`` (groups first), as a store's ``globals`` returns them.
        groups: Names or patterns, such as ``label/*``.
        shape: The image's axes; a coarser map is ranked as ``coarse`` says.
        coarse: "native" or "bilinear".

    Raises:
        InputError: If no group has such a name.
    """
    names = list(found["groups"])
    orders = []
    for pattern in groups:
        chosen = [number for number, name in enumerate(names) if fnmatchcase(name, pattern)]
        if not chosen:
            raise unknown("peppr", "group", pattern, names)
        for number in chosen:
            mean = np.asarray(found["mean"][number])
            orders.append(order_of(f"{method}/{names[number]}", mean, group=names[number], shape=shape, coarse=coarse))
    return orders
