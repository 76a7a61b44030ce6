"""The errors that a caller can mend, and the one form in which they are written.

Every message says where, what was expected, what came and how to fix it:
``occlusion: window (9, 9) exceeds the input (8, 8); pass a smaller window.``
The command line turns these errors into one line and exit code 2; anything else is a fault of the library.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """A value that the caller passed does not fit."""


class InputTypeError(InputError, TypeError):
    """A value of a type that cannot be used here."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return ``" did you mean 'x'?"`` for the nearest options, or those that begin so; list all when none is near.

    Example:
        >>> did_you_mean("smothgrad", ["smoothgrad", "gradient"])
        "did you mean 'smoothgrad'?"
    """
    known = sorted(options)
    near = get_close_matches(word, known, n=3, cutoff=0.6)
    near = near or [option for option in known if word and option.startswith(word)][:3]
    if near:
        return "did you mean " + " or ".join(repr(option) for option in near) + "?"
    return "known: " + (", ".join(known) if known else "none") + "."


def unknown(where: str, kind: str, word: str, options: Iterable[str]) -> InputError:
    """Build the error for a word that is not in a vocabulary, with the nearest known words."""
    return InputError(f"{where}: unknown {kind} {word!r}; {did_you_mean(word, options)}")
