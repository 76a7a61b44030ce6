"""Damaged content is the caller's matter and named with its file; a failing file system is an `OSError` and passes."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from jaxplain._errors import InputError


@contextmanager
def naming_damage(where: str, what: str, remedy: str = "copy or write it again") -> Iterator[None]:
    """Turn whatever a parser raises on damaged bytes into one `InputError`.

    Args:
        where: The file.
        what: What it should have been, such as ``a sound .npz archive``.
        remedy: What to do about it.

    Raises:
        InputError: The file is missing, or the content is damaged.
        OSError: The file system failed.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise InputError(f"{where}: no such file; check the path.") from error
    except OSError as error:
        # Archives raise OSError without a number, and damaged offsets lead to seeks that are invalid.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise InputError(f"{where}: not {what} ({error}); {remedy}.") from error
    except Exception as error:  # parsers fed with damaged bytes may raise nearly anything
        raise InputError(f"{where}: not {what} ({error or type(error).__name__}); {remedy}.") from error
