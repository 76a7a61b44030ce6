"""How long the stages of a job took, by their events."""

import time

from jaxplain.engine.events import Event, Finished, Started, Watcher


class Stages:
    """Passes events on and adds up the seconds between the beginning and the end of every stage.

    Args:
        watch: Called with every event.
    """

    def __init__(self, watch: Watcher):
        self.seconds: dict[str, float] = {}
        self._watch, self._since = watch, dict[str, float]()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Started):
            self._since[event.stage] = time.perf_counter()
        elif isinstance(event, Finished) and event.stage in self._since:
            took = time.perf_counter() - self._since.pop(event.stage)
            self.seconds[event.stage] = self.seconds.get(event.stage, 0.0) + took
        self._watch(event)
