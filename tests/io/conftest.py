"""Places to store to, and small image folders."""

import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxplain.io.storage import Storage


@pytest.fixture(params=["path", "file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty place under each kind of URL that a test can reach; the folder's name holds a space."""
    folder = tmp_path / "a store"
    urls = {"path": str(folder), "file": folder.as_uri(), "memory": f"memory://{uuid.uuid4()}/a store"}
    return Storage.open(urls[request.param])


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    """An empty place in a folder."""
    return Storage.open(tmp_path / "store")


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """A function that writes one image file: ``write_image(path, seed=0, size=(6, 5), mode="RGB")``."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (6, 5), mode: str = "RGB", **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = {"RGB": (3,), "L": (), "RGBA": (4,)}[mode]
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, *channels), np.uint8)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write
