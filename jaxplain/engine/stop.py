"""A wish to end soon, such as a scheduler's signal: seen by loops, never forced upon them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE = 20.0
"""Seconds that what is under way may take after the wish."""
_SLICE = 0.1


class Stopped(BaseException):
    """Raised where a wish to end comes while nothing is under way that could be finished.

    Not an `Exception`: nothing that goes on after errors may go on after this.
    """


class Stop:
    """A wish to end soon, and the time that is left.

    Args:
        grace: Seconds that what is under way may take.
        clock: Seconds that only go forward.
    """

    def __init__(self, grace: float = GRACE, clock: Callable[[], float] = time.monotonic):
        self.grace, self._clock = grace, clock
        self._until: float | None = None
        self._heeded = False

    def ask(self) -> None:
        """Wish for the end; a signal handler may call this.

        Raises:
            Stopped: Nothing is under way that could be finished.
        """
        # Plain attributes: a lock that the interrupted code holds could never be taken here.
        if self._until is None:
            self._until = self._clock() + self.grace
        if not self._heeded:
            raise Stopped

    @property
    def asked(self) -> bool:
        """Whether somebody wished for the end."""
        return self._until is not None

    @property
    def left(self) -> float:
        """Seconds that are left; without a wish there is no end of them."""
        return float("inf") if self._until is None else self._until - self._clock()

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Look after the wish inside the block: nothing is raised there, ``asked`` has to be looked at."""
        self._heeded = True
        try:
            yield
        finally:
            self._heeded = False

    def wait(self, seconds: float) -> None:
        """Wait so long, or until there is a wish."""
        end = self._clock() + seconds
        while not self.asked and (left := end - self._clock()) > 0:
            time.sleep(min(left, _SLICE))


class Pace:
    """How fast units of work are done, and so how long others will take.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock, self._began, self._done = clock, clock(), 0

    def advance(self, units: int) -> None:
        """Count units that were done."""
        self._done += units

    def seconds(self, units: int) -> float:
        """Return how long so many units will take; without end as long as none was done."""
        if units <= 0:
            return 0.0
        return units * (self._clock() - self._began) / self._done if self._done else float("inf")
