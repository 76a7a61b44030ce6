"""Progress: bars on a terminal, lines elsewhere, names as plain text on both."""

import io

import pytest
from rich.console import Console

from jaxplain.cli.plain import plain
from jaxplain.cli.progress import MAX_NOTES, duration, watching
from jaxplain.engine.events import Advanced, Finished, Noted, Started

HOSTILE = "img[/x].jpg [red]\x1b[31m\n<script>"


def played(terminal: bool, *events) -> str:
    """What the console shows of these events."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, markup=True, color_system=None)
    with watching(console) as watch:
        for event in events:
            watch(event)
    return text.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_is_shown(terminal):
    shown = played(
        terminal,
        Started("plan", 0),
        Finished("plan", 1.0, {"batch": 4, "chunk": 2}),
        Started("explain", 20, 4),
        Advanced("explain", 8, "shard 1"),
        Noted("explain", f"image {HOSTILE}: unreadable"),
        Advanced("explain", 8, "shard 2"),
        Finished("explain", 1.0, {"images": 16, "images/s": 16.0}),
        Started("something new", 3),
        Advanced("something new", 3, HOSTILE),
        Finished("something new", 1.0),
    )
    assert "planning" in shown
    assert "20/20" in shown
    assert "images/s" in shown
    assert "shard 2" in shown or terminal
    assert "img[/x].jpg [red]\\x1b[31m\\n<script>" in shown
    assert "\x1b[31m" not in shown


def test_programs_are_shown_one_by_one():
    shown = played(
        False,
        Started("compile", 2),
        Advanced("compile", 0, "gradient"),
        Advanced("compile", 1, "gradient: 0.5 s to trace, 1.2 s to compile"),
        Advanced("compile", 1, "smoothgrad: 0.6 s to trace, 1.4 s to compile"),
        Finished("compile", 2.0, {"programs": {"gradient": [0.5, 1.2], "smoothgrad": [0.6, 1.4]}}),
    )
    assert shown.splitlines() == [
        "compiling: 2 programs",
        "compiling: 1/2 programs, gradient: 0.5 s to trace, 1.2 s to compile",
        "compiling: 2/2 programs, smoothgrad: 0.6 s to trace, 1.4 s to compile",
        "compiling: done",
    ]


def test_lines_come_per_shard():
    events = [Advanced("explain", 1, f"shard {number // 5}") for number in range(20)]
    shown = played(False, Started("explain", 20), *events, Finished("explain", 1.0))
    assert shown.count("images/s") == 5
    assert shown.count("explaining: 20/20 images") == 1


def test_notes_are_counted_beyond_the_first():
    notes = [Noted("explain", f"image {number}: bad") for number in range(MAX_NOTES + 5)]
    shown = played(False, Started("explain", 30), *notes, Finished("explain", 1.0))
    assert shown.count(": bad") == MAX_NOTES
    assert "and 5 more such notes" in shown


def test_names_become_one_visible_line():
    assert plain("a\u202eb\udc80\t") == "a\\u202eb\\udc80\\t"
    assert plain("Größe 雪") == "Größe 雪"


def test_durations():
    assert [duration(seconds) for seconds in (0.04, 9.96, 59.7, 3601)] == ["0.0 s", "10.0 s", "1 min 0 s", "1 h 0 min"]
