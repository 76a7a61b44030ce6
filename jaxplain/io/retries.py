"""Bounded retries of file-system errors that may pass (a network file system that stutters), never of lasting ones."""

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ATTEMPTS = 3
PAUSE = 0.1
"""Seconds before the second attempt; each further pause is four times as long."""

TRANSIENT = frozenset(
    {
        errno.EIO,
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
        errno.ETIMEDOUT,
        errno.ESTALE,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
    }
)


def is_transient(error: OSError) -> bool:
    """Tell whether a second attempt can help; a full disk or a missing permission never heals by itself."""
    return error.errno in TRANSIENT


def located(error: OSError, where: str) -> OSError:
    """Return an error that names its place: reads and writes of an open file raise without one."""
    if error.filename is not None or error.errno is None:
        return error
    return OSError(error.errno, os.strerror(error.errno), where)


def retrying(action: Callable[[], T], where: str = "", *, attempts: int = ATTEMPTS, pause: float = PAUSE) -> T:
    """Call ``action`` until it succeeds, at most ``attempts`` times; raise the last or any lasting `OSError`."""
    for left in range(attempts - 1, -1, -1):
        try:
            return action()
        except OSError as error:
            if left == 0 or not is_transient(error):
                placed = located(error, where)
                raise placed from (None if placed is error else error)
            time.sleep(pause)
            pause *= 4
    raise ValueError(f"retrying: attempts must be at least 1, got {attempts}.")
