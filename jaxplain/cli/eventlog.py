"""Events as JSON, one object per line, for schedulers and dashboards: ``jaxplain run job.toml --log json``.

Every line has ``time`` (UTC, ISO 8601) and ``event``, and is flushed when it is written. By event:

    started    stage, total, done, unit, facts      units of work, and how many an earlier run finished
    advanced   stage, units, done, total, where,    units since the last such line and so far in the stage;
               waiting                              seconds of the stage spent waiting for input, device and output
    noted      stage, text                          something a person should know, such as an image left out
    finished   stage, seconds, facts
    summary    what run.json of the store holds     the last line of a run that ended by itself
    warning    text
    error      text, code                           the exit code

Numbers that are not finite are null. New fields may come; none that is here changes its meaning.
"""

import itertools
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any

from jaxplain.cli.units import unit
from jaxplain.engine.events import Advanced, Event, Started


class EventLog:
    """Writes events to a stream.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[str]):
        self._stream = stream
        self._total: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Take in an event of the engine."""
        own = asdict(event)
        if isinstance(event, Started):
            self._total[event.stage], self._done[event.stage] = event.total, event.done
            own["unit"] = unit(event.stage)
        elif isinstance(event, Advanced):
            self._done[event.stage] = self._done.get(event.stage, 0) + event.units
            own |= {"done": self._done[event.stage], "total": self._total.get(event.stage, 0)}
        self.write(type(event).__name__.lower(), own)

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """Write a line."""
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        line = {"time": stamp, "event": event} | {str(name): _json(value) for name, value in fields.items()}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

    def warning(self, message: Warning | str, *_: Any) -> None:
        """Write a warning of Python's, in the place of ``warnings.showwarning``."""
        self.write("warning", {"text": str(message)})


def wants_events(words: Sequence[str]) -> bool:
    """Tell whether a command line asks for events as JSON: known before it is parsed, whose errors are events too."""
    return "--log=json" in words or any(pair == ("--log", "json") for pair in itertools.pairwise(words))


def _json(value: Any) -> Any:
    """Return a value as JSON has it: plain numbers, null for what is not finite, text for whatever else."""
    if isinstance(value, Mapping):
        return {str(name): _json(one) for name, one in value.items()}
    if hasattr(value, "tolist"):  # arrays and numbers of NumPy
        return _json(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_json(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
