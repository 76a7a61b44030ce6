"""What a run tells while it runs and at its end: events for programs, traces, the bottleneck, the figures."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from jaxplain.cli import progress
from jaxplain.cli.bottleneck import Bottleneck
from jaxplain.cli.closing import usage
from jaxplain.cli.eventlog import EventLog, wants_events
from jaxplain.cli.job import Summary, figures
from jaxplain.engine.events import Advanced, Finished, Noted, Started
from tests.cli.conftest import refused

HOSTILE = "img[/x].jpg [red]\x1b[31m\n<script>"


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_events_are_lines_of_json(jaxplain, job):
    answer = jaxplain("run", "job.toml", "--log", "json")
    assert answer.code == 0, answer
    events = lines_of(answer.err)
    kinds = [(event["event"], event.get("stage")) for event in events]
    assert kinds.index(("started", "plan")) < kinds.index(("started", "explain")) < kinds.index(("finished", "explain"))
    assert kinds[-1] == ("summary", None) and all(event["time"].endswith("Z") for event in events)
    explained = [event for event in events if event["event"] == "advanced" and event["stage"] == "explain"]
    assert [event["done"] for event in explained] == [4, 8, 12, 16, 20] and explained[0]["total"] == 20
    assert set(explained[0]["waiting"]) == {"input", "device", "output"}
    last = events[-1]
    kept = json.loads((job.parent / "store" / "run.json").read_text())
    assert last["complete"] is True and last["images in the last run"] == 20 == kept["images in the last run"]
    assert last["seconds by stage"]["explaining"] > 0 and last["GFLOP/s by XLA's count"] >= 0
    assert last["peak memory (MB)"] > 50 and last["peak memory of a device (MB)"] is None
    assert "Explained 20 of 20 images" in answer.out and "Time waiting for input" in answer.out


def test_errors_and_warnings_are_events_too(jaxplain, job):
    answer = jaxplain("run", "job.toml", "--log=json", "--set", "plan.batch=none")
    assert answer.code == 2
    (event,) = lines_of(answer.err)
    assert event["event"] == "error" and event["code"] == 2 and "plan.batch" in event["text"]
    assert wants_events(["run", "--log", "json"]) and not wants_events(["run", "json", "--log", "text"])
    text = io.StringIO()
    EventLog(text).warning(UserWarning("careful"), UserWarning, "x.py", 1)
    assert lines_of(text.getvalue())[0]["text"] == "careful"


def test_events_hold_whatever_others_named_on_one_line_of_ascii():
    text = io.StringIO()
    log = EventLog(text)
    log(Started("explain", 3, 1, {"plan": {"batch": np.int64(4)}, "scores": np.array([1.0, np.nan])}))
    log(Noted("explain", HOSTILE + "\udc80"))
    log(Advanced("explain", 2, HOSTILE))
    log(Finished("explain", float("inf"), {1: {2}}))
    assert text.getvalue().isascii() and "\x1b" not in text.getvalue()
    started, noted, advanced, finished = lines_of(text.getvalue())
    assert started["facts"] == {"plan": {"batch": 4}, "scores": [1.0, None]} and started["unit"] == "images"
    assert noted["text"] == HOSTILE + "\udc80" and advanced["where"] == HOSTILE
    assert (advanced["done"], advanced["total"], finished["seconds"], finished["facts"]) == (3, 3, None, {"1": "{2}"})


def test_a_trace_holds_batches_after_the_first_ones(jaxplain, job):
    answer = jaxplain("run", "job.toml", "--profile", "trace")
    assert answer.code == 0 and "trace of 3 batches in trace" in answer.err, answer
    assert list((job.parent / "trace").rglob("*.xplane.pb"))
    answer = jaxplain("run", "job.toml", "--profile", "trace", "--set", "output=other", "--set", "source.limit=3")
    assert answer.code == 0 and "no trace: only 1 batches" in answer.err, answer
    (job.parent / "file").write_text("x")
    refused(jaxplain("run", "job.toml", "--profile", "file/trace"), "--profile file/trace", "name a folder")


def test_the_bottleneck_is_named_once_and_only_when_it_is_one():
    bottleneck = Bottleneck()
    assert bottleneck.take(Started("explain", 100), 0.0) == "" == bottleneck.words
    early = Advanced("explain", 1, "", {"input": 4.0, "device": 0.0, "output": 0.0})
    assert bottleneck.take(early, 5.0) == "" and bottleneck.words == "80% waiting for input"
    late = Advanced("explain", 1, "", {"input": 15.0, "device": 9.0, "output": 0.0})
    assert bottleneck.take(late, 30.0).startswith("the device waits for input 50% of the time: raise source.threads")
    assert bottleneck.take(late, 31.0) == ""
    bottleneck.take(Started("explain", 100), 0.0)
    little = Advanced("explain", 1, "", {"input": 6.0, "device": 20.0, "output": 0.0})
    assert bottleneck.take(little, 30.0) == "" == bottleneck.words


SLOW = {"input": 1e3, "device": 0.0, "output": 0.0}


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_and_advice_say_when_the_input_is_slow(monkeypatch, width):
    text = io.StringIO()
    monkeypatch.setattr("jaxplain.cli.bottleneck.SECONDS", 0.0)
    console = Console(file=text, force_terminal=True, width=width, color_system=None, markup=False, highlight=False)
    with progress.watching(console) as watch:
        watch(Started("explain", 300_000))
        for shard in range(2):
            watch(Advanced("explain", 2000, f"shard {shard}", SLOW))
        bars = Console(file=io.StringIO(), width=width, color_system=None)
        bars.print(watch._progress.get_renderable())
        watch(Finished("explain", 1.0))
    shown = text.getvalue()
    assert shown.count("the device waits for input 100% of the time") == 1
    assert "decode the images once into a .npy file or zarr" in shown.replace("\n", " ")
    lines = bars.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width and "4,000/300,000" in lines[-1]
    assert ("100% waiting for input" in lines[-1]) == (width == 120)


def test_lines_say_when_the_input_is_slow(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr("jaxplain.cli.bottleneck.SECONDS", 0.0)
    with progress.watching(Console(file=text, width=80, color_system=None, markup=False, highlight=False)) as watch:
        watch(Started("explain", 300_000))
        for shard in range(2):
            watch(Advanced("explain", 2000, f"shard {shard}", SLOW))
    shown = text.getvalue()
    assert shown.count("the device waits for input 100% of the time: raise source.threads") == 1
    assert "explaining: 2,000/300,000 images, " in shown and "shard 0, 100% waiting for input" in shown


def summary(**changes):
    facts = {
        "output": "file:///x",
        "methods": ("gradient",),
        "total": 10_000,
        "images": 10_000,
        "images_per_second": 500.0,
        "seconds": 20.0,
        "planning_seconds": 3.0,
        "programs": {"gradient": (0.5, 1.0)},
        "waiting": {"input": 0.5, "device": 0.25, "output": 0.05},
        "operations_per_second": 12.3e9,
        "operations_whole": True,
        "product_rate": None,
        "peak_bytes": 1_234_000_000,
        "device_peak_bytes": None,
        "stages": {"plan": 3.0, "explain": 20.0, "open": 0.01},
        "quarantined": (),
        "failed": {},
        "complete": True,
    }
    return Summary(**(facts | changes))


def test_the_end_tells_where_time_and_memory_went_in_lines_of_a_terminal():
    lines = usage(summary())
    assert lines == [
        "Time waiting for input 50%, device 25%, output 5%; own work 20%.",
        "Stages: planning 3.0 s, explaining 20 s.",
        "Peak memory 1.2 GB; 12.3 GFLOP/s.",
    ]
    more = usage(summary(operations_whole=False, device_peak_bytes=int(3e10), stages={}))
    assert more[1] == "Peak memory 1.2 GB, on the device 30.0 GB; at least 12.3 GFLOP/s."
    assert "GFLOP" not in usage(summary(operations_per_second=None))[-1]
    assert usage(summary(product_rate=49.2e9))[-1] == ("Peak memory 1.2 GB; 12.3 GFLOP/s, 25% of a matrix product's.")
    assert figures(summary(product_rate=49.2e9))["share of a matrix product's rate"] == 0.25
    assert all(len(line) <= 80 for line in lines)
    assert figures(summary(operations_per_second=None))["GFLOP/s by XLA's count"] is None
    assert figures(summary())["share of time waiting for"] == {"input": 0.5, "device": 0.25, "output": 0.05}
