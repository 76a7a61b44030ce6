"""Progress as a person wants to see it: bars on a terminal, a line per shard or half a minute elsewhere.

Driven by the engine's events. Whatever others named (images, shards, folders) is shown as plain text.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from jaxplain.cli.bottleneck import Bottleneck
from jaxplain.cli.eventlog import EventLog
from jaxplain.cli.plain import plain
from jaxplain.cli.units import OPENING, UNITS, title, unit
from jaxplain.engine.events import Advanced, Event, Finished, Noted, Started, Watcher

LINE_SECONDS = 30.0
MAX_NOTES = 20
SHARDED = ("explain", "sweep")
UNEVEN = ("compile",)
"""Stages whose units take times of their own, so that a speed says nothing."""


@contextmanager
def watching(console: Console, log: str = "text") -> Iterator[Watcher]:
    """Show events while the block runs, beginning with the imports, which take seconds.

    Args:
        console: Where to; its error stream, so that results can be piped.
        log: "text" for people, "json" for programs, see ``jaxplain.cli.eventlog``.
    """
    if log == "json":
        yield EventLog(console.file)
        return
    if not console.is_terminal:
        yield Lines(console)
        return
    one_line = Column(no_wrap=True, overflow="ellipsis")
    columns = (
        SpinnerColumn(finished_text=Text("✓", "green")),
        _Title(one_line),
        BarColumn(24 if console.width >= 100 else 10),
        *(kind(one_line) for kind in (_Count, _Speed)),
        _Where(Column(no_wrap=True, overflow="ellipsis", ratio=1)),  # what the others leave
    )
    with Progress(*columns, console=console, refresh_per_second=8, expand=True) as progress:
        bars = Bars(progress)
        bars(Started(OPENING, 0))
        yield bars


class Bars:
    """Draws a bar per stage."""

    def __init__(self, progress: Progress):
        self._progress, self._tasks, self._notes = progress, dict[str, TaskID](), Notes(progress.console)
        self._bottleneck = Bottleneck()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Started() if event.stage == OPENING and OPENING in self._tasks:
                pass  # begun with the command, before anything was imported
            case Started():
                self._bottleneck.take(event, 0.0)
                fields: dict[str, Any] = {"where": facts_text(event), "begun": event.done}
                self._tasks[event.stage] = self._progress.add_task(
                    event.stage, total=event.total or None, completed=event.done, **fields
                )
            case Advanced():
                task = self._tasks[event.stage]
                seconds = self._progress.tasks[self._progress.task_ids.index(task)].elapsed or 0.0
                self._notes.advise(self._bottleneck.take(event, seconds))
                where = ", ".join(word for word in (self._bottleneck.words, event.where) if word)
                self._progress.update(task, advance=event.units, where=where)
            case Noted():
                self._notes.show(event)
            case Finished() if event.stage in self._tasks:
                task = self._tasks[event.stage]
                if self._progress.tasks[self._progress.task_ids.index(task)].total is None:
                    self._progress.update(task, total=1, completed=1)
                self._progress.update(task, where=facts_text(event))
                self._notes.rest()


class Lines:
    """Writes a line at every new shard, and every half minute inside one."""

    def __init__(self, console: Console):
        self._console, self._notes, self._bottleneck = console, Notes(console), Bottleneck()
        self._total = self._done = self._begun = 0
        self._where, self._since, self._written = "", 0.0, 0.0

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case Started(stage=stage) | Finished(stage=stage) if stage == OPENING:
                pass
            case Started():
                self._total, self._done, self._begun = event.total, event.done, event.done
                self._where, self._since, self._written = "", time.monotonic(), time.monotonic()
                self._bottleneck.take(event, 0.0)
                count = f": {event.total:,} {unit(event.stage)}" if event.total else ""
                there = f", {event.done:,} there already" if event.done else ""
                self._say(f"{title(event.stage)}{count}{there}{_behind(facts_text(event))}")
            case Advanced():
                self._done += event.units
                advice = self._bottleneck.take(event, time.monotonic() - self._since)
                late = time.monotonic() - self._written > LINE_SECONDS
                shard = event.stage in SHARDED and event.where != self._where
                if shard or late or self._done >= self._total or (event.stage in UNEVEN and event.units):
                    self._where, self._written = event.where, time.monotonic()
                    self._say(self._line(event))
                self._notes.advise(advice)
            case Noted():
                self._notes.show(event)
            case Finished():
                self._notes.rest()
                self._say(f"{title(event.stage)}: done{_behind(facts_text(event))}")

    def _line(self, event: Advanced) -> str:
        if event.stage in UNEVEN:
            return f"{title(event.stage)}: {self._done:,}/{self._total:,} {unit(event.stage)}, {event.where}"
        speed = (self._done - self._begun) / max(1e-9, time.monotonic() - self._since)
        left = duration((self._total - self._done) / speed) if speed else "?"
        units = unit(event.stage)
        parts = [f"{title(event.stage)}: {self._done:,}/{self._total:,} {units}", f"{speed:,.1f} {units}/s"]
        return ", ".join(part for part in (*parts, f"{left} left", event.where, self._bottleneck.words) if part)

    def _say(self, text: str) -> None:
        self._console.print(Text(plain(text)), soft_wrap=True)


class Notes:
    """Shows the first notes of a stage and counts the rest."""

    def __init__(self, console: Console):
        self._console, self._seen = console, 0

    def show(self, event: Noted) -> None:
        """Show a note, unless there were many."""
        self._seen += 1
        if self._seen <= MAX_NOTES:
            self._console.print(Text(f"  {plain(event.text)}", "yellow"), soft_wrap=True)

    def advise(self, text: str) -> None:
        """Show advice, if there is any; it does not count as a note."""
        if text:
            self._console.print(Text(f"  {plain(text)}", "yellow"), soft_wrap=True)

    def rest(self) -> None:
        """Tell how many notes were not shown."""
        if self._seen > MAX_NOTES:
            self._console.print(Text(f"  and {self._seen - MAX_NOTES} more such notes", "yellow"), soft_wrap=True)
        self._seen = 0


class _Title(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{title(task.description):<11}")


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        known = task.total is not None and task.description in UNITS
        return Text(f"{int(task.completed):,}/{int(task.total or 0):,}" if known else "")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        seconds = (task.finished_time if task.finished else task.elapsed) or 0.0
        done = task.completed - task.fields["begun"]
        if task.description not in UNITS or task.description in UNEVEN or done <= 0:
            return Text(duration(seconds), "dim")
        speed = task.speed if not task.finished and task.speed else done / max(1e-9, seconds)
        rate = f"{speed:,.1f}" if speed < 1000 else f"{speed:,.0f}"
        left = duration(seconds) if task.finished else f"{duration(task.time_remaining or 0)} left"
        return Text(f"{rate} {unit(task.description)}/s, {left}", "dim")


class _Where(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(plain(task.fields["where"]), "dim")


def duration(seconds: float) -> str:
    """Return a time for people.

    Example:
        >>> duration(0.4), duration(75), duration(7300)
        ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def facts_text(event: Started | Finished) -> str:
    """Return what is worth showing of an event's facts in a few words."""
    facts = event.facts or {}
    if isinstance(facts.get("plan"), dict):
        plan = facts["plan"]
        return f"{plan['rows_per_shard']:,} images per shard"
    if {"batch", "chunk"} <= set(facts):
        return f"batch {facts['batch']}, chunk {facts['chunk']}"
    if "folder" in facts:
        return str(facts["folder"])
    if event.__class__ is Finished and set(facts) == {"images"}:
        return f"{facts['images']:,} images"
    return ""


def _behind(text: str) -> str:
    return f" ({text})" if text else ""
