"""From exceptions to exit codes and one clear line."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from jaxplain._errors import InputError
from jaxplain.cli.plain import plain
from jaxplain.engine.stop import Stopped

DONE = 0
FAULT = 1
BAD_INPUT = 2
INCOMPLETE = 75
"""A run ended with shards missing: the same command does them. The number is sysexits' "try again"; schedulers read 0
as done."""
INTERRUPTED = 130

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another output; the same command then goes on where it was",
    errno.EDQUOT: "free some of your quota, or choose another output; the same command then goes on where it was",
    errno.EFBIG: "the file system or a limit (ulimit -f) forbids files of this size; choose another output",
    errno.EACCES: "check the permissions, or choose another place",
    errno.EPERM: "check the permissions, or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.ENOENT: "check the path",
    errno.EAGAIN: "try again later; the same command goes on where it was",
    errno.ETIMEDOUT: "try again later; the same command goes on where it was",
    errno.ECONNABORTED: "start all of them again; the same command goes on where it was",
    errno.EIO: "the file system failed; check it, the same command then goes on where it was",
}


def report(error: BaseException, *, debug: bool, log: Callable[[str, Mapping[str, Any]], None] | None = None) -> int:
    """Write what went wrong to the error stream and return the exit code.

    What the user can mend is one line (further lines list keys); a fault of the library comes with its traceback.

    Args:
        error: What was raised.
        debug: Whether to write the traceback in any case.
        log: Takes the error as an event instead, where events are written for programs.
    """
    code, lines = _verdict(error)
    traced = code == FAULT or (debug and not isinstance(error, KeyboardInterrupt | Stopped))
    if log is not None:
        trace = {"traceback": "".join(traceback.format_exception(error))} if traced else {}
        log("error", {"code": code, "text": "\n".join(lines)} | trace)
        return code
    if traced:
        traceback.print_exception(error)
    _say(*lines)
    return code


def _verdict(error: BaseException) -> tuple[int, list[str]]:
    """Return the exit code and what to say."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, ["interrupted; the same command goes on where it was"]
    if isinstance(error, Stopped):
        return INCOMPLETE, ["stopped; the same command goes on where it was"]
    if isinstance(error, InputError):
        return BAD_INPUT, str(error).split("\n")
    if isinstance(error, OSError):
        return BAD_INPUT, [_os_text(error)]
    what = type(error).__name__
    return FAULT, [f"{what}: a fault of jaxplain, not of your input; please report it with the lines above"]


def _say(first: str, *others: str) -> None:
    lines = [f"jaxplain: {plain(first)}", *(plain(line) for line in others)]
    print("\n".join(lines), file=sys.stderr)


def _os_text(error: OSError) -> str:
    remote = str(error.filename).startswith(("s3://", "gs://"))  # whose reasons are in no list of the system's
    what = str(error.strerror) if remote else os.strerror(error.errno) if error.errno else str(error)
    where = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, "check the path and the file system")
    return f"{where}{what}; {remedy}."
