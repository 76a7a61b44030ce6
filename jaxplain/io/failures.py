"""What TensorStore's errors mean: failures of a place are `OSError` with place and reason, damage an `InputError`."""

import errno
import http
import os
import re
from typing import Any

from jaxplain._errors import InputError

FAILURES = (ValueError, RuntimeError, NotImplementedError, LookupError)
"""What TensorStore raises."""
_ERRNO = {
    "NOT_FOUND": errno.ENOENT,
    "PERMISSION_DENIED": errno.EACCES,
    "UNAUTHENTICATED": errno.EACCES,
    "RESOURCE_EXHAUSTED": errno.ENOSPC,
    "UNAVAILABLE": errno.EAGAIN,
    "ABORTED": errno.EAGAIN,
    "DEADLINE_EXCEEDED": errno.ETIMEDOUT,
}
_CREDENTIALS = {
    "s3": "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and what they may do with the bucket",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS and what it may do with the bucket",
}


def finish(future: Any, where: str, deadline: float | None = None) -> Any:
    """Wait for one of TensorStore's results.

    Args:
        future: What is under way.
        where: The place, for messages.
        deadline: Seconds after which it is given up; None to wait.

    Raises:
        OSError: The place failed, or did not answer in time.
        InputError: What is there is damaged.
    """
    try:
        return future.result(timeout=deadline)
    except TimeoutError as error:
        future.cancel()
        raise out_of_time(deadline or 0, where) from error
    except FAILURES as error:
        raise translate(error, where) from error


def translate(error: Exception, where: str) -> Exception:
    """Return what an error of TensorStore means.

    Args:
        error: The error.
        where: The place.

    Example:
        >>> translate(ValueError("ABORTED: All 2 retry attempts failed: Unknown [http_response_code='503']"), "s3://b/k")
        BlockingIOError(11, 'the server answers 503 Service Unavailable, also after 2 more requests')
    """
    text = str(error)
    scheme = where.partition("://")[0]
    if scheme in _CREDENTIALS and (reason := _reason(text, scheme)):
        return OSError(_code(text) or errno.EIO, reason, where)
    code = _code(text)
    if code is not None:
        return OSError(code, f"{os.strerror(code)} ({text})", where)
    if text.startswith("DATA_LOSS") or "Error reading shard entry" in text:
        return InputError(f"{where}: the stored bytes are damaged ({text}); delete this part and write it again.")
    if "Invalid key" in text:
        return InputError(f"{where}: cannot name a file ({text}); choose another name.")
    return OSError(errno.EIO, text, where)


def out_of_time(seconds: float, where: str) -> OSError:
    """Return the error of an object store that has not answered in time."""
    return OSError(errno.ETIMEDOUT, f"no answer within {seconds:g} s", where)


def _code(text: str) -> int | None:
    found = re.search(r"os_error_code='(\d+)'", text)
    if found:
        return int(found.group(1))
    status = _status(text)
    if status == 404:
        return errno.ENOENT
    return _ERRNO.get(text.partition(":")[0])


def _status(text: str) -> int | None:
    found = re.search(r"http_response_code='(\d+)'", text)
    return int(found.group(1)) if found else None


def _reason(text: str, scheme: str) -> str | None:
    """Return a server's refusal, or why it cannot be reached, in a few words."""
    status, curl = _status(text), re.search(r"CURL error ([^\[]*)", text)
    if status is not None:
        known = status in set(http.HTTPStatus)
        reason = (
            f"the server answers {status} {http.HTTPStatus(status).phrase}" if known else f"the server answers {status}"
        )
    elif curl:
        reason = curl.group(1).strip().rstrip(":")
    else:
        return None
    tries = re.search(r"All (\d+) retry attempts failed", text)
    reason += f", also after {tries.group(1)} more requests" if tries else ""
    if status in (401, 403):
        reason += f"; {_CREDENTIALS[scheme]}"
    return reason + ("; is there such a bucket?" if status == 404 else "")
