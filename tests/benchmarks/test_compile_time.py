"""Compile times from processes of their own, and their memory."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import compile_time
from benchmarks.memory import in_child, peak_bytes, report
from tests.sources import ROOT


@pytest.mark.slow
def test_the_second_process_finds_the_program_in_the_cache():
    row = compile_time.measure("small_cnn", "gradient", batch=2, size=16, repeats=1)
    assert (row["cold"]["cache"], row["warm"]["cache"]) == (["miss"], ["hit"])
    for found in row.values():
        stages = {stage: figures["median"] for stage, figures in found["seconds"].items()}
        assert min(stages.values()) > 0
        assert stages["compile time"] == pytest.approx(sum(stages[name] for name in compile_time.STAGES), rel=1e-3)
        assert found["peak bytes"]["median"] > 1e8


def test_a_method_that_fails_is_told_and_left_out(monkeypatch, capsys, tmp_path):
    def in_child(module, _, network, case, *words, environment):
        if case == "gradient_rollout":
            raise RuntimeError("benchmarks.compile_time ended with 1:\nTraceback\nInputError: it has no attention")
        return {"seconds": dict.fromkeys(compile_time.STAGES, 1.0), "cache": "hit", "peak bytes": 1e8}

    monkeypatch.setattr(compile_time, "in_child", in_child)
    words = ("gradient_rollout", "lrp, epsilon")
    monkeypatch.setattr(sys, "argv", ["compile_time", "--results", str(tmp_path), "--cases", *words])
    compile_time.main()
    assert "gradient_rollout         left out: InputError: it has no attention\n" in capsys.readouterr().out
    kept = next(tmp_path.rglob("compile_time.json"))
    assert list(json.loads(kept.read_text())["rows"]) == ["lrp, epsilon"]


def test_the_table_shows_both_states_against_their_aims():
    seconds = {"trace": 1.0, "lower": 0.5, "compile": 2.5, "first run": 0.25}
    row = {
        "cold": compile_time.together([{"seconds": seconds, "cache": "miss", "peak bytes": 4e8}]),
        "warm": compile_time.together([{"seconds": seconds, "cache": "hit", "peak bytes": 3e8}]),
    }
    cold, warm = compile_time.lines("lrp, epsilon", row).splitlines()
    assert cold.startswith("lrp, epsilon") and "4.00 s" in cold and "400 MB" in cold and cold.endswith("20 s met")
    assert "hit" in warm and warm.endswith("3 s MISSED")


def test_the_peak_of_memory_is_the_process_s_own_and_stays():
    """A child of a large process begins anew, and 200 MB that were held and freed still count."""
    held = np.ones(40_000_000)
    words = "from benchmarks.memory import peak_bytes as p; a = p(); b'1' * 200_000_000; print(a, p())"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, cwd=ROOT)
    before, after = map(int, done.stdout.split())
    assert before < peak_bytes() and peak_bytes() > held.nbytes
    assert 150_000_000 < after - before < 300_000_000


def test_a_report_is_read_back_and_a_failure_is_shown(capsys):
    report({"seconds": 1.5})
    assert json.loads(capsys.readouterr().out)["seconds"] == 1.5
    with pytest.raises(RuntimeError, match=r"No module named benchmarks\.nothing"):
        in_child("benchmarks.nothing")
