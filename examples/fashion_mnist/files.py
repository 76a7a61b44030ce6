"""The four files of Fashion-MNIST, where they are kept, and what proves that they are whole.

The publisher and Debian compress the same bytes differently: the SHA-256 sums are those of the uncompressed files.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

SHA256 = {
    TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def cache_folder() -> Path:
    """Where files are kept between checkouts: ``$XDG_CACHE_HOME/jaxplain/fashion-mnist``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jaxplain" / "fashion-mnist"


def locate(folder: Path, name: str) -> Path | None:
    """The file in ``folder``, compressed or not; None where there is neither."""
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def present(folder: Path, name: str) -> Path:
    """The file in ``folder``, which must be there."""
    path = locate(folder, name)
    if path is None:
        raise FileNotFoundError(f"{folder / name}[.gz] is missing; fetch the data again.")
    return path


def sha256(path: Path) -> str:
    """SHA-256 of the uncompressed bytes; of nothing at all where the compression is damaged."""
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return "damaged"
    return digest.hexdigest()


def faults(folder: Path, sums: dict[str, str] | None = None) -> list[str]:
    """What is wrong with a folder's four files, one line each; empty when all of them are there and whole."""
    wrong = []
    for name, want in (SHA256 if sums is None else sums).items():
        path = locate(folder, name)
        if path is None:
            wrong.append(f"{folder / name}[.gz] is missing")
        elif sha256(path) != want:
            wrong.append(f"{path} does not have the SHA-256 sum of the published file")
    return wrong
