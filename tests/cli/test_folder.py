"""A folder of images, some of them bad, some with hostile names."""

import struct
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image

import jaxplain as library
from jaxplain.io.index import write_index
from tests.cli.conftest import refused

MARKUP = "img[/x].jpg"  # a folder "img[", and a file "x].jpg" in it
JOB = """\
output = "store"
[model]
factory = "tests.cli.networks:linear"
kwargs = { classes = 2, shape = [4, 4, 3] }
[source]
url = "photos"
[input]
divisor = 255
[methods.gradient]
[plan]
batch = 2
rows_per_shard = 4
"""


def png(width, height):
    """A PNG that declares a size and holds next to nothing."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    Image.fromarray(pixels).save(folder / "cat" / "[red]<script>\x1b[31m.png")
    (folder / "dog" / "bomb.png").write_bytes(png(20_000, 20_000))
    (folder / "dog" / "img[").mkdir()
    (folder / "dog" / MARKUP).write_bytes(b"no image at all")
    whole = (folder / "dog" / "3.png").read_bytes()
    (folder / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "job.toml").write_text(JOB)
    return folder


def test_bad_files_are_left_out_and_listed(jaxplain, photos):
    answer = jaxplain("run", "job.toml")
    assert answer.code == 0, answer.err
    assert "indexing" in answer.err
    assert "3 images were left out" in answer.out
    assert "dog/bomb.png: " in answer.out
    assert "pixels" in answer.out
    assert f"dog/{MARKUP}: no image" in answer.out
    assert "dog/cut.png: " in answer.out
    assert "\x1b[31m" not in answer.out + answer.err
    shown = jaxplain("status", "store").out
    assert f"dog/{MARKUP}: unreadable image" in shown
    store = library.open("store")
    assert int((store.rows("status") == 1).sum()) == 3
    assert store.globals("gradient")["count"].tolist()[:2] == [5, 4]


def test_retry_takes_mended_files(jaxplain, photos):
    assert jaxplain("run", "job.toml").code == 0
    before = library.open("store").maps("gradient")[:4]
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(photos / "dog" / "cut.png")
    refused(jaxplain("retry", "job.toml"), "no longer fits its index", "jaxplain index")
    assert jaxplain("index", "photos").code == 0
    answer = jaxplain("retry", "job.toml")
    assert answer.code == 0, answer.err
    assert "Redone: 1 shard" in answer.out
    assert "2 images were left out" in answer.out
    store = library.open("store")
    np.testing.assert_array_equal(store.maps("gradient")[:4], before)
    assert store.globals("gradient")["count"].tolist()[:2] == [5, 5]
    assert "Nothing to do" in jaxplain("run", "job.toml").out


def test_retry_refuses_other_changes(jaxplain, photos):
    assert jaxplain("run", "job.toml").code == 0
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(photos / "dog" / "cut.png")
    Image.fromarray(np.full((4, 4, 3), 9, np.uint8)).save(photos / "cat" / "0.png")
    assert jaxplain("index", "photos").code == 0
    refused(jaxplain("retry", "job.toml"), "data.fingerprint", "the images or labels have changed")
    assert library.open("store").complete("gradient")


def test_retry_by_a_trusted_store(jaxplain, photos):
    jaxplain("run", "job.toml")
    answer = jaxplain("retry", "store", "--trust")
    assert answer.code == 0, answer.err
    assert "3 images were left out" in answer.out


def test_index_tells_what_it_found(jaxplain, photos):
    answer = jaxplain("index", "photos")
    assert answer.code == 0
    assert "12 images" in answer.out
    assert "  0         5  cat" in answer.out


def test_an_index_outside_of_a_folder_that_is_read_only(jaxplain, photos, monkeypatch):
    def refuse(folder, *rest):
        if folder == str(photos):
            raise PermissionError(13, "Permission denied", str(photos))
        return write_index(folder, *rest)

    monkeypatch.setattr("jaxplain.cli.images.write_index", refuse)
    refused(jaxplain("run", "job.toml"), "photos: cannot be written to", "source.index", "--to FILE")
    answer = jaxplain("run", "job.toml", "--set", "source.index=kept.npz")
    assert answer.code == 0, answer.err
    assert (photos.parent / "kept.npz").exists()
    assert jaxplain("index", "photos", "--to", "kept.npz").code == 0
    assert "Nothing to do" in jaxplain("run", "job.toml", "--set", "source.index=kept.npz").out


def test_images_of_several_sizes_need_a_resize(jaxplain, photos):
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(photos / "dog" / "large.png")
    answer = jaxplain("run", "job.toml")
    refused(answer, "dog/large.png", "set input.resize or input.crop")


def test_tar_files_are_run_and_indexed_like_a_folder(jaxplain, photos, tmp_path):
    (tmp_path / "shards").mkdir()
    for number, label in enumerate(("cat", "dog")):
        with tarfile.open(tmp_path / "shards" / f"{number:03d}.tar", "w") as archive:
            for path in sorted((photos / label).glob("?.png")):
                archive.add(path, path.name)
                archive.add(label_of(tmp_path, number), f"{path.stem}.cls")
    answer = jaxplain("index", "shards/{000..001}.tar")
    assert answer.code == 0 and "8 images" in answer.out, answer
    by_pattern = jaxplain("run", "job.toml", "--set", "source.url=shards/{000..001}.tar")
    assert by_pattern.code == 0 and "indexing" not in by_pattern.err, by_pattern
    by_folder = jaxplain("run", "job.toml", "--set", "source.url=webdataset://shards")
    assert "indexing" in by_folder.err and "Nothing to do" in by_folder.out, by_folder
    store = library.open("store")
    assert store.rows("label").tolist() == [0] * 4 + [1] * 4
    assert list(store.index.paths)[4] == "001.tar/0.png"
    refused(jaxplain("index", "npz://x.npz"), "need no index")


def label_of(folder, number):
    """A file that holds the number of a class."""
    place = folder / f"{number}.cls"
    place.write_text(f"{number}\n")
    return place
