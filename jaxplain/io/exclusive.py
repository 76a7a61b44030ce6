"""Create a file with its whole content, exclusively: after a kill at any moment it is there whole, or not at all."""

import contextlib
import errno
import os
import uuid

SUFFIX = ".__lock"
"""Ending of files under way; TensorStore hides them when it lists a folder."""
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class LinksUnsupported(Exception):
    """The file system has no hard links."""


def create_exclusively(path: str, data: bytes) -> bool:
    """Create a file unless it exists; of several writers exactly one gets True. Durable on return.

    The content goes to a file of its own name, which is then linked to ``path``: atomic, and refused if that exists.

    Raises:
        LinksUnsupported: The file system cannot link; nothing was created.
        OSError: The file cannot be written.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    draft = f"{path}_{uuid.uuid4().hex}{SUFFIX}"
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except OSError as error:
            # NFS may report a failure of a link that was made: the count of links tells.
            if os.stat(draft).st_nlink == 2:
                pass
            elif isinstance(error, FileExistsError):
                return False
            elif error.errno in _NO_LINKS:
                raise LinksUnsupported(path) from error
            else:
                raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
    _sync(folder)
    return True


def remove_leftovers(folder: str, older_than: float, now: float) -> int:
    """Delete files under way that no one has touched for ``older_than`` seconds; return how many."""
    removed = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(SUFFIX):
                path = os.path.join(parent, name)
                with contextlib.suppress(FileNotFoundError):
                    if now - os.stat(path).st_mtime > older_than:
                        os.unlink(path)
                        removed += 1
    return removed


def _sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
