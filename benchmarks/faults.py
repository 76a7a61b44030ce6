"""What can befall a worker: it dies at a moment or at a point of its work, is asked to end, or cannot write.

A fault at a point is put into the worker's own program by wrapping what it writes through; the library knows nothing of
it.
"""

import errno
import itertools
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxplain.io import owners
from jaxplain.io.leases import Leases
from jaxplain.io.sink import StoreSink
from jaxplain.io.storage import Storage

BEFORE, AFTER = "before", "after"
POINTS = {
    "before the manifest": ("create", "jaxplain.json", BEFORE),
    "after the manifest": ("create", "jaxplain.json", AFTER),
    "lease taken": ("create", "lease/0", AFTER),
    "in a heartbeat": ("write", "lease/", BEFORE),
    "computed, nothing written": ("array", "maps/", BEFORE),
    "writing": ("array", "maps/", AFTER),
    "committed, not marked": ("create", "done/rows/", BEFORE),
    "one marker of three": ("create", "done/rows/", AFTER),
    "marked, lease kept": ("create", "done/sg/", AFTER),
    "lease of the global maps taken": ("create", "lease/global/", AFTER),
    "in the global maps": ("create", "global/", AFTER),
    "global maps written, not marked": ("create", "done/global/", BEFORE),
    "some global maps marked": ("create", "done/global/", AFTER),
}
ERRORS = {"full disk": errno.ENOSPC, "read-only output": errno.EROFS}
KINDS = ("killed", "asked to end", "killed at a point", "file size limit", *ERRORS)
EXPECTED = {
    "none": {0, 75},
    "killed": {-signal.SIGKILL, 0, 75},
    "asked to end": {-signal.SIGTERM, 0, 75},  # the former before it has set up its handler
    "killed at a point": {-signal.SIGKILL, 0, 75},
    "file size limit": {0, 1, 2, 75},  # 1 where it cannot say so either: its log is a file
    "full disk": {0, 2, 75},
    "read-only output": {0, 2, 75},
}
"""Exit codes that a worker may end with; whatever is left to do, none of them is a success that is none."""


@dataclass(frozen=True)
class Fault:
    """What befalls one worker.

    Args:
        kind: One of ``KINDS``, or "none".
        seconds: After which it is killed or asked to end.
        point: Where it dies.
        nth: At the how manieth time that it comes there, or from which write on nothing can be written.
        bytes: Largest file that it may write.
    """

    kind: str = "none"
    seconds: float = 0.0
    point: str = ""
    nth: int = 1
    bytes: int = 0


def drawn(rng: np.random.Generator, life: float) -> Fault:
    """Draw a fault.

    Args:
        rng: Draws.
        life: Seconds that a worker needs undisturbed.
    """
    kind = KINDS[rng.choice(len(KINDS), p=[0.3, 0.2, 0.35, 0.05, 0.05, 0.05])]
    return Fault(
        kind,
        seconds=float(rng.uniform(0, life)),
        point=list(POINTS)[rng.integers(len(POINTS))],
        nth=int(rng.integers(1, 8)),
        bytes=int(rng.integers(200, 4000)),
    )


def install(fault: Fault, *, far: bool) -> None:
    """Put a fault into this program, which is a worker's.

    Args:
        fault: The fault.
        far: Whether to work as if on a machine of one's own: then only still counters tell who is dead.
    """
    if far:
        owners._machine = lambda: ""  # type: ignore[assignment]
        Leases.__init__.__kwdefaults__["period"] = 0.25
    if fault.kind == "file size limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.bytes, resource.RLIM_INFINITY))
    count = itertools.count(1)

    def strike(method: str, key: str, when: str) -> None:
        if fault.kind in ERRORS and when == BEFORE and next(count) >= fault.nth:
            raise OSError(ERRORS[fault.kind], os.strerror(ERRORS[fault.kind]), key)
        if fault.kind == "killed at a point":
            where, prefix, moment = POINTS[fault.point]
            if (method, when) == (where, moment) and key.startswith(prefix) and next(count) == fault.nth:
                os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def act(self: Any, key: str, *rest: Any) -> Any:
            strike(method, key, BEFORE)
            result = original(self, key, *rest)
            strike(method, key, AFTER)
            return result

        return act

    for owner, name, method in (
        (Storage, "create", "create"),
        (Storage, "write", "write"),
        (StoreSink, "write", "array"),
    ):
        setattr(owner, name, wrapped(method, getattr(owner, name)))
