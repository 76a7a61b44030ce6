"""The time that is left."""

import time


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
