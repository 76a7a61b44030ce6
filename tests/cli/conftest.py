"""Small jobs in a folder of their own, and the command line in this process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jaxplain.cli.main import main

JOB = """\
output = "store"
[model]
factory = "tests.cli.networks:linear"
[source]
url = "npz://images.npz"
[input]
divisor = 255
[labels]
names = ["a", "b", "c"]
[methods.gradient]
[plan]
batch = 4
rows_per_shard = 8
"""


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def jaxplain(capsys, tmp_path, monkeypatch):
    """The command line: called with words, it returns its exit code and what it wrote; the folder is the test's own."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Answer:
        code = main(list(words))
        written = capsys.readouterr()
        return Answer(code, written.out, written.err)

    return call


@pytest.fixture
def job(tmp_path) -> Path:
    """A job over 20 images of 4 x 4 pixels, three shards."""
    rng = np.random.default_rng(1)
    images = rng.integers(20, 255, (20, 4, 4, 1), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(20) % 3)
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def refused(answer: Answer, *parts: str) -> None:
    """Check that a command refused its input: exit code 2, one message without a traceback, with these parts."""
    assert answer.code == 2, answer
    assert "Traceback" not in answer.err
    message = answer.err[answer.err.index("jaxplain: ") :]
    for part in parts:
        assert part in message, (part, message)
