"""Logits of the PyTorch originals, recorded for machines without PyTorch.

    python -m tests.models.record_golden resnet18 64 64 3

Weights are those of `jaxplain.models.random_network` and images those of `tests.models.comparison.images`, both
without a random generator whose values may change.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from jaxplain.models import ARCHITECTURES
from tests.models.comparison import a_few, images, original_activations, pair

FOLDER = Path(__file__).with_name("golden")
CLASSES = 4


def record(name: str, shape: tuple[int, ...]) -> None:
    """Write the logits of two images to ``golden/<name>.json``."""
    size = {"size": shape[0]} if ARCHITECTURES[name].positions else {}
    with tempfile.TemporaryDirectory() as folder:
        _, original = pair(name, Path(folder), shape, CLASSES, **size)
    logits, _ = original_activations(original, images(shape))
    recorded = {"shape": shape, "logits": np.round(a_few(logits).astype(float), 6).tolist()}
    (FOLDER / f"{name}.json").write_text(json.dumps(recorded) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1], tuple(int(length) for length in sys.argv[2:]))
