"""Where the command line writes: results to the standard output, progress and complaints to the error stream."""

import sys
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Streams:
    """Two consoles that interpret no markup.

    Args:
        results: Standard output.
        progress: Error stream.
    """

    results: Console
    progress: Console

    @classmethod
    def of_process(cls) -> "Streams":
        """Return the streams of this process; characters that they cannot encode are escaped."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return cls(
            Console(markup=False, highlight=False, emoji=False),
            Console(stderr=True, markup=False, highlight=False, emoji=False),
        )
