"""From exceptions to exit codes and one clear line."""

import errno
import os
import sys
import traceback

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
    errno.EIO: "the file system failed; check it, the same command then goes on where it was",
}


def report(error: BaseException, *, debug: bool) -> int:
    """Write what went wrong to the error stream and return the exit code.

    What the user can mend is one line (further lines list keys); a fault of the library comes with its traceback.

    Args:
        error: What was raised.
        debug: Whether to write the traceback in any case.
    """
    if debug and not isinstance(error, KeyboardInterrupt | Stopped):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        _say("interrupted; the same command goes on where it was")
        return INTERRUPTED
    if isinstance(error, Stopped):
        _say("stopped; the same command goes on where it was")
        return INCOMPLETE
    if isinstance(error, InputError):
        _say(*str(error).split("\n"))
        return BAD_INPUT
    if isinstance(error, OSError):
        _say(_os_text(error))
        return BAD_INPUT
    if not debug:
        traceback.print_exception(error)
    _say(f"{type(error).__name__}: a fault of jaxplain, not of your input; please report it with the lines above")
    return FAULT


def _say(first: str, *others: str) -> None:
    lines = [f"jaxplain: {plain(first)}", *(plain(line) for line in others)]
    print("\n".join(lines), file=sys.stderr)


def _os_text(error: OSError) -> str:
    remote = str(error.filename).startswith(("s3://", "gs://"))  # whose reasons are in no list of the system's
    what = str(error.strerror) if remote else os.strerror(error.errno) if error.errno else str(error)
    where = f"{error.filename}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, "check the path and the file system")
    return f"{where}{what}; {remedy}."
