"""Download from the publisher's own address: with progress, resumed where it broke, checked at the end."""

import os
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from examples.fashion_mnist.files import sha256

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3
PAUSE_SECONDS = 1.0

Advance = Callable[[str, int, int], None]
"""Called with the file's name, the bytes that are here and the bytes in all."""


class DownloadError(OSError):
    """A file could not be had whole."""


def download(name: str, want: str, cache: Path, advance: Advance, address: str = ADDRESS) -> Path:
    """Fetch ``name``.gz into the cache.

    Args:
        name: The file's name without ``.gz``.
        want: SHA-256 of its uncompressed bytes.
        cache: Folder that receives it; ``.part`` files from an earlier attempt are continued.
        advance: Told of the progress.
        address: Where the publisher keeps the files.

    Returns:
        The path of the complete and checked file.

    Raises:
        DownloadError: The address cannot be reached, or what it gave has another SHA-256 sum.
    """
    cache.mkdir(parents=True, exist_ok=True)
    whole, part = cache / f"{name}.gz", cache / f"{name}.gz.part"
    for attempt in range(ATTEMPTS):
        resumed = part.exists() and part.stat().st_size > 0
        try:
            _receive(f"{address}/{name}.gz", part, name, advance)
        except (OSError, EOFError, HTTPException) as error:
            if attempt + 1 == ATTEMPTS or _refused(error):
                raise DownloadError(f"{address}/{name}.gz: {error}") from error
            time.sleep(PAUSE_SECONDS)
            continue
        checked = part.rename(part.with_name(f"{name}.unchecked.gz"))
        if sha256(checked) == want:
            os.replace(checked, whole)
            return whole
        checked.unlink()
        if not resumed:  # a fresh download that is wrong will be wrong again
            break
    raise DownloadError(f"{address}/{name}.gz: the SHA-256 sum is not that of the published file")


def _refused(error: Exception) -> bool:
    """Whether another attempt is pointless: the server said no, or its name does not resolve."""
    if isinstance(error, HTTPError):
        return error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, URLError) and not isinstance(error.reason, TimeoutError)


def _receive(url: str, part: Path, name: str, advance: Advance) -> None:
    """Continue ``part`` from where it ends, or start again where the server cannot continue it."""
    here = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        response = urlopen(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # all of it was here already, or too much
            return
        raise
    with response, part.open("ab" if response.status == HTTPStatus.PARTIAL_CONTENT else "wb") as file:
        here = file.tell()
        length = response.headers.get("Content-Length")
        total = here + int(length) if length else 0
        while block := response.read(1 << 16):
            file.write(block)
            here += len(block)
            advance(name, here, total)
    if total and here < total:
        raise EOFError(f"ended after {here} of {total} bytes")
