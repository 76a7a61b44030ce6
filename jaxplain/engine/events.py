"""What a long task tells whoever watches it. The engine prints nothing; the command line draws these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Started:
    """A stage begins.

    Args:
        stage: Its name, such as "explain".
        total: Units of work, such as images.
        done: Units that an earlier run finished.
        facts: What is worth showing.
    """

    stage: str
    total: int
    done: int = 0
    facts: dict[str, Any] | None = None


@dataclass(frozen=True)
class Advanced:
    """Work went on by some units.

    Args:
        stage: Its name.
        units: How many.
        where: The current shard or part.
        waiting: Seconds of the stage so far that were waited, by what for; see ``jaxplain.engine.waits``.
    """

    stage: str
    units: int
    where: str = ""
    waiting: dict[str, float] | None = None


@dataclass(frozen=True)
class Noted:
    """Something a person should know: a quarantined image, a shard that failed."""

    stage: str
    text: str


@dataclass(frozen=True)
class Finished:
    """A stage is over."""

    stage: str
    seconds: float
    facts: dict[str, Any] | None = None


Event = Started | Advanced | Noted | Finished
Watcher = Callable[[Event], None]


def unwatched(event: Event) -> None:
    """Ignore an event."""
