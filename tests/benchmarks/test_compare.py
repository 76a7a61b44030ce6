"""Two records side by side: what counts as slower, and what is refused."""

import json

import pytest

from benchmarks import compare
from benchmarks.record import RESULTS, facts
from benchmarks.timing import with_interval


def record(scale: float = 1.0, **other) -> dict:
    """A record with a time, a rate and a figure that is neither."""
    seconds = [1.0 + 0.001 * number for number in range(12)]
    rows = {
        "seconds, method": with_interval([scale * one for one in seconds]),
        "images per second": with_interval([8 / scale / one for one in seconds]),
        "cosine": with_interval([scale * one for one in seconds]),
    }
    return {"device": "cpu", "processor": "A", "batch": 8, "commit": "1", "rows": {"resnet18": rows}, **other}


@pytest.fixture
def run(tmp_path, capsys):
    """Compare two contents of files; return the exit status, the output and the errors."""

    def compared(a, b, *words: str):
        for name, content in (("a", a), ("b", b)):
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / f"{name}.json").write_text(text)
        status = compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json"), *words])
        return status, *capsys.readouterr()

    return compared


@pytest.mark.parametrize(
    ("scale", "status", "words"), [(1.0, 0, "0 slower"), (0.5, 0, "2 faster"), (1.5, 1, "2 slower")]
)
def test_times_and_rates_are_judged_by_their_own_direction(run, scale, status, words):
    found, out, _ = run(record(), record(scale, commit="2"))
    assert found == status and words in out
    assert out.count("not judged") == 1


def test_a_change_within_the_margin_or_the_interval_counts_for_nothing(run):
    assert run(record(), record(1.04))[0] == 0  # the intervals are 0.7 % wide
    assert run(record(), record(1.04), "--margin", "0.01")[0] == 1
    wide = record()
    wide["rows"]["resnet18"]["seconds, method"] = with_interval([0.5, 0.6, 1.0, 1.9, 2.0, 2.1, 2.2])
    del wide["rows"]["resnet18"]["images per second"]
    assert run(wide, record())[0] == 0 and run(wide, record(1.5))[0] == 0


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (record(), record(device="NVIDIA H100"), "device 'cpu', B with 'NVIDIA H100'"),
        (record(), record(processor="B"), "figures of two machines"),
        (record(), record(batch=16), "batch is 8 in A and 16 in B"),
        (record(), record(rows={}), "B lacks 3 of A's 3 figures: rows / resnet18 / seconds, method"),
        (record(), "{", "cannot be read as JSON"),
        (record(), "[1]", "holds a list"),
        (record(rows={}), record(rows={}), "nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, a, b, words):
    status, _, error = run(a, b)
    assert status == 2 and words in error and error.count("\n") == 1


def test_folders_are_compared_file_by_file(tmp_path, capsys):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "kept.json").write_text(json.dumps(record()))
    assert compare.main([str(one), str(other)]) == 0
    (one / "lost.json").write_text(json.dumps(record()))
    assert compare.main([str(one), str(other)]) == 2
    assert compare.main([str(one), str(other / "kept.json")]) == 2
    assert compare.main([str(one), str(tmp_path / "nowhere")]) == 2
    assert "lacks lost.json" in capsys.readouterr().err


def test_the_records_kept_here_can_be_compared(capsys):
    for folder in RESULTS.iterdir():
        assert compare.main([str(folder), str(folder)]) == 0
    assert "0 slower, 0 faster" in capsys.readouterr().out


def test_a_record_says_what_it_was_measured_with():
    assert {"commit", "changed", "device", "processor", "load", "versions"} == set(facts())
