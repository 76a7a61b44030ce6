"""Paths in a job file are relative to the folder of the job file, not to where the command was typed."""

import os
from pathlib import Path

from jaxplain.io.sources.opening import SCHEMES

_ELSEWHERE = ("s3", "gs", "memory")


def resolved(folder: Path, path: str) -> str:
    """Return a path as an absolute one.

    Example:
        >>> resolved(Path("/jobs"), "runs/a"), resolved(Path("/jobs"), "/data")
        ('/jobs/runs/a', '/data')
    """
    return os.path.normpath(folder / Path(path).expanduser())


def resolved_url(folder: Path, url: str) -> str:
    """Return an address with its path made absolute; what lies in a cloud or in memory stays as it is.

    Example:
        >>> resolved_url(Path("/jobs"), "npz://x.npz?images=a"), resolved_url(Path("/jobs"), "s3://bucket/x")
        ('npz:///jobs/x.npz?images=a', 's3://bucket/x')
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return resolved(folder, url)
    if scheme in _ELSEWHERE or "://" in rest or scheme not in (*SCHEMES, "file"):
        return url
    return f"{scheme}://{resolved(folder, rest)}"
