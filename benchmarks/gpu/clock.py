"""The time that is left: what does not fit any more is left out, and the record says so."""

import time

LEFT_OUT = {"left out": "no time was left"}
"""What a row says that did not fit."""


class Clock:
    """A limit in seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds until the limit, negative behind it."""
        return self._end - time.monotonic()

    def part(self, share: float) -> "Clock":
        """Return a clock that ends after this share of what is left."""
        return Clock(max(0.0, share * self.left))
