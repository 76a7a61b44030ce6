"""The device that computes."""

import time
from collections.abc import Callable
from typing import Any

import jax

from jaxplain._typing import PyTree
from jaxplain.core.ops import native_library

SHORTEST, LONGEST = 2e-4, 0.02
"""Seconds between two looks at the device; each pause is a half longer than the one before."""


def until_ready(results: PyTree, *, enough: Callable[[], bool]) -> bool:
    """Wait until arrays are computed, without being caught in a call that no signal interrupts.

    Args:
        results: Arrays; what is no array of JAX is there already.
        enough: Asked before every pause; where it says so, nothing is waited for any more.

    Returns:
        Whether the arrays are computed.
    """
    pause = SHORTEST
    arrays: list[Any] = [leaf for leaf in jax.tree.leaves(results) if isinstance(leaf, jax.Array)]
    while arrays := [array for array in arrays if not array.is_ready()]:
        if enough():
            return False
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST)
    return True


def device_kind() -> str:
    """Return the kind of the first device, such as "cpu" or "NVIDIA H100 80GB HBM3".

    Where a native library computes on CPUs, its name and version follow: on the same processor results differ in their
    rounding, as they do on other hardware.
    """
    kind = str(jax.devices()[0].device_kind)
    library = native_library() if jax.default_backend() == "cpu" else ""
    return f"{kind} with {library}" if library else kind
