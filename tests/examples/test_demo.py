"""The demo's chain: what it runs in which order, what it uses again, what it does without a network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from examples.fashion_mnist import demo, fetch
from examples.fashion_mnist.subjects import FashionMnist, Generated, job, pixels
from examples.fashion_mnist.train import Split
from jaxplain.models import small_cnn


@dataclass(frozen=True)
class Tiny:
    """The generated subject with few, small images."""

    name: str = "generated"
    epochs: int = 1
    job_file: Path = Generated.job_file

    def splits(self):
        images = np.random.default_rng(0).normal(size=(256, 6, 6, 1)).astype(np.float32)
        return Split(images, np.zeros((256, 3), np.uint8)), Split(images[:10], np.zeros((10, 3), np.uint8))

    def place(self, folder, explained):
        np.savez(folder / "test.npz", images=explained.images, labels=explained.labels)


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Call the demo where no data can be had, on the tiny subject; returns the exit code and records the commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetch, "fetch", lambda given, **_: None)
    monkeypatch.setattr(demo, "Generated", Tiny)
    commands = []
    monkeypatch.setattr(demo, "_jaxplain", lambda *words: commands.append(words))

    def call(*arguments):
        commands.clear()
        return demo.main(arguments)

    call.commands = commands
    return call


@pytest.mark.usefixtures("standard_promotion")
def test_the_stages_follow_each_other_and_training_is_used_again(ran, tmp_path, capsys):
    folder = tmp_path / "runs" / "generated"
    assert ran() == 0
    assert [words[0] for words in ran.commands] == ["run", "peppr", "report"]
    assert ran.commands[0][1] == str(Path("runs/generated/job.toml"))
    assert "cannot be reached" in capsys.readouterr().out
    assert (folder / "job.toml").read_text() == Generated.job_file.read_text()
    checkpoint = (folder / "checkpoint").stat().st_mtime_ns
    assert ran("--full", "--until", "peppr") == 0
    assert (folder / "checkpoint").stat().st_mtime_ns == checkpoint
    assert [words[0] for words in ran.commands] == ["run", "peppr"]
    assert all(change in ran.commands[1] for change in demo.FULL)


def test_a_wrong_data_folder_is_one_line_and_exit_code_2(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert demo.main(["--data", "nowhere"]) == 2
    assert "train-images-idx3-ubyte[.gz] is missing" in capsys.readouterr().out.replace("\n", "")


def test_a_failing_command_ends_the_demo_with_its_code(ran, monkeypatch):
    def fail(*words):
        raise SystemExit(2)

    monkeypatch.setattr(demo, "_jaxplain", fail)
    monkeypatch.setattr(demo, "_train", lambda *_: Path("runs/generated").mkdir(parents=True))
    with pytest.raises(SystemExit, match="2"):
        ran()


@pytest.mark.parametrize("subject", [FashionMnist(Path()), Generated()], ids=lambda subject: subject.name)
def test_the_job_files_fit_what_is_trained(subject):
    table = job(subject)
    model = small_cnn(**table["model"]["kwargs"])
    height, width, channels = table["model"]["kwargs"]["shape"]
    image = np.zeros((1, height, width, channels), np.uint8 if "input" in table else np.float32)
    assert model(pixels(subject).from_arrays(image)).shape == (1, len(table["labels"]["names"]))
    if subject.name == "fashion_mnist":
        black = pixels(subject).from_arrays(image).min()
        assert table["methods"]["integrated_gradients"]["baseline"] == pytest.approx(float(black), abs=1e-4)
