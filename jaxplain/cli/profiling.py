"""A trace of a few batches, in a form that https://ui.perfetto.dev, TensorBoard and XProf read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from jaxplain._errors import InputError
from jaxplain.engine.events import Advanced, Event, Finished, Noted, Started, Watcher
from jaxplain.engine.stream import STAGE

WARM_UP = 2
"""Batches before the trace begins."""
TRACED = 8
"""Batches of a trace: enough to see reading, device and writing overlap, and small enough to be opened."""


@contextmanager
def profiled(folder: str | None, watch: Watcher) -> Iterator[Watcher]:
    """Trace some batches of explaining, after the first ones, with JAX's own profiler.

    Args:
        folder: Where the trace goes; None for none.
        watch: Called with every event, and told where the trace is, or why there is none.

    Yields:
        What is to be called with the events.

    Raises:
        InputError: The folder cannot be made.
    """
    if folder is None:
        yield watch
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"--profile {folder}: {error.strerror}; name a folder that can be written to.") from error
    trace = Trace(folder, watch)
    try:
        yield trace
    finally:
        trace.end()


class Trace:
    """Starts and ends the profiler by the events of a run, which come between batches."""

    def __init__(self, folder: str, watch: Watcher):
        self._folder, self._watch = folder, watch
        self._batches, self._running, self._ended = 0, False, False

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        self._watch(event)
        match event:
            case Started(stage=stage) if stage == STAGE:
                self._batches = 0
            case Advanced(stage=stage) if stage == STAGE and not self._ended:
                self._batches += 1
                if self._batches == WARM_UP:
                    jax.profiler.start_trace(self._folder)
                    self._running = True
                elif self._batches == WARM_UP + TRACED:
                    self.end()
            case Finished(stage=stage) if stage == STAGE and not self._ended:
                self.end()
                if not self._ended:
                    self._note(f"no trace: only {self._batches} batches, at least {WARM_UP} are needed")

    def end(self) -> None:
        """End a trace under way and tell where it is."""
        if self._running:
            self._running, self._ended = False, True
            jax.profiler.stop_trace()
            traced = self._batches - WARM_UP
            self._note(f"trace of {traced} batches in {self._folder}; see https://ui.perfetto.dev or TensorBoard")

    def _note(self, text: str) -> None:
        self._watch(Noted(STAGE, text))
