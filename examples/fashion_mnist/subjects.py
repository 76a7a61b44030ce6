"""What the demo can run on: Fashion-MNIST, or the generated aligned set where no network reaches it.

A subject knows its job file, how to load what the network is trained on, and how to put the images that are explained
beside the job.
"""

import gzip
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from examples.fashion_mnist.files import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, present
from examples.fashion_mnist.train import Split, load
from jaxplain.io.input import Input
from jaxplain.synthetic import aligned

HERE = Path(__file__).resolve().parent


class Subject(Protocol):
    """A data set with its job."""

    name: str
    epochs: int
    job_file: Path

    def splits(self) -> tuple[Split, Split]:
        """Return the images to train on and those to explain."""
        ...

    def place(self, folder: Path, explained: Split) -> None:
        """Put what is explained where the job looks for it, below ``folder``."""
        ...


@dataclass(frozen=True)
class FashionMnist:
    """The published images, from the folder where they were found."""

    folder: Path
    name: str = "fashion_mnist"
    epochs: int = 5
    job_file: Path = HERE / "job.toml"

    def splits(self) -> tuple[Split, Split]:
        """Return the 60,000 training and the 10,000 test images."""
        return load(self.folder, TRAIN_IMAGES, TRAIN_LABELS), load(self.folder, TEST_IMAGES, TEST_LABELS)

    def place(self, folder: Path, explained: Split) -> None:
        """Unpack the test files, so that the run can map them into memory."""
        for name in (TEST_IMAGES, TEST_LABELS):
            path = present(self.folder, name)
            content = path.read_bytes()
            _write(folder / name, gzip.decompress(content) if path.suffix == ".gz" else content)


@dataclass(frozen=True)
class Generated:
    """Discs planted in noise."""

    name: str = "generated"
    epochs: int = 3
    job_file: Path = HERE / "generated.toml"

    def splits(self) -> tuple[Split, Split]:
        """Return 20,000 images to train on and 4,000 others of the same law: three labels each make 12,000 maps."""
        training, explained = aligned(20_000, seed=1), aligned(4_000, seed=2)
        return Split(training.images, training.labels), Split(explained.images, explained.labels)

    def place(self, folder: Path, explained: Split) -> None:
        """Write images and labels into one file."""
        part = folder / "test.part.npz"
        np.savez(part, images=explained.images, labels=explained.labels)
        os.replace(part, folder / "test.npz")


def job(subject: Subject) -> dict[str, Any]:
    """The subject's job file, read."""
    return tomllib.loads(subject.job_file.read_text(encoding="utf-8"))


def pixels(subject: Subject) -> Input:
    """What the job's [input] does to stored pixels; the training does the same."""
    return Input(**{name: value for name, value in job(subject).get("input", {}).items()})


def classes(subject: Subject) -> int:
    """Number of the network's outputs."""
    return int(job(subject)["model"]["kwargs"]["classes"])


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
