"""Image folders: index, decoding, quarantine, and the difference between a bad image and a bad disk."""

import errno
import hashlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxplain._errors import InputError
from jaxplain.io import retries
from jaxplain.io import status as codes
from jaxplain.io.index import (
    INDEX_NAME,
    Index,
    Names,
    build_index,
    image_id,
    index_bytes,
    index_of,
    parse_index,
    read_index,
    stale,
    write_index,
)
from jaxplain.io.input import Input
from jaxplain.io.sources import array_source, open_source
from jaxplain.io.sources.decoding import Unreadable, decode_image
from jaxplain.io.sources.folder import Folder, folder_source

HOW = Input(divisor=255)
ODD = ["img[/x].png", "<script>.png", "new\nline.png", "ümlaut 😀.png", os.fsdecode(b"raw\xff.png")]


@pytest.fixture
def folder(tmp_path, write_image):
    """Two classes of three images, one unlabeled image, and things that are no images."""
    root = tmp_path / "a set"
    for i, name in enumerate(["cat/1.png", "cat/0.png", "cat/deep/2.png", "ant/0.jpg", "ant/1.bmp", "ant/2.PNG"]):
        write_image(root / name, seed=i)
    write_image(root / "loose.png", seed=9)
    write_image(root / ".hidden" / "x.png")
    (root / "notes.txt").write_text("x")
    return root


def indexed(root, **options):
    write_index(root, build_index(root))
    return folder_source(root, input=HOW, **options)


def png(width, height, body=b""):
    """The beginning of a PNG file that says how large it is."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def test_an_index_lists_images_by_path_with_folders_as_classes(folder):
    index = build_index(folder)
    assert list(index.paths) == [
        "ant/0.jpg",
        "ant/1.bmp",
        "ant/2.PNG",
        "cat/0.png",
        "cat/1.png",
        "cat/deep/2.png",
        "loose.png",
    ]
    assert index.class_names == ("ant", "cat")
    assert index.label.tolist() == [0, 0, 0, 1, 1, 1, -1]
    assert index.id.tolist() == [image_id(path) for path in index.paths]
    want = int.from_bytes(hashlib.blake2b(b"ant/0.jpg", digest_size=8).digest(), "little")
    assert index.id.dtype == np.uint64 and index.id[0] == want
    facts = os.stat(folder / "ant/0.jpg")
    assert (index.size[0], index.mtime_ns[0]) == (facts.st_size, facts.st_mtime_ns)


def test_an_index_comes_back_whole(folder):
    index = build_index(folder)
    write_index(folder, index)
    found = read_index(folder)
    assert found.fingerprint == index.fingerprint and list(found.paths) == list(index.paths)
    assert found.class_names == index.class_names and found.label.tolist() == index.label.tolist()
    assert build_index(folder).fingerprint == index.fingerprint  # the index itself is no part of it
    assert os.listdir(folder).count(INDEX_NAME) == 1


def test_names_of_any_kind_are_kept(tmp_path, write_image):
    for i, name in enumerate(ODD):
        drawn, target = write_image(tmp_path / "x.png", seed=i), os.path.join(os.fspath(tmp_path), "set", "<b>", name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(drawn, target)
    source = indexed(tmp_path / "set")
    assert set(source.names) == {f"<b>/{name}" for name in ODD}
    assert source.class_names == ("<b>",)
    assert (source.read(range(5)).status == codes.OK).all()
    assert source.names[-1] == source.names[4] and source.names[1:3] == list(source.names)[1:3]


def test_ids_do_not_depend_on_what_else_is_there(folder):
    before = {path: i for path, i in zip(build_index(folder).paths, build_index(folder).id, strict=True)}
    os.remove(folder / "ant/0.jpg")
    after = build_index(folder)
    assert all(before[path] == i for path, i in zip(after.paths, after.id, strict=True))


@pytest.mark.parametrize("change", ["new", "gone", "changed"])
def test_a_changed_folder_is_noticed(folder, write_image, change):
    indexed(folder)
    if change == "new":
        write_image(folder / "cat/new.png")
    elif change == "gone":
        os.remove(folder / "cat/0.png")
    else:
        os.utime(folder / "cat/0.png", ns=(5, 5))
    assert f"1 {change}" in (stale(folder, read_index(folder)) or "")
    with pytest.raises(InputError, match=rf"1 {change}.*jaxplain index"):
        folder_source(folder, input=HOW)


def test_a_file_that_changes_later_is_noticed_when_read(folder):
    source = indexed(folder)
    os.utime(folder / "cat/0.png", ns=(5, 5))
    with pytest.raises(InputError, match=r"cat/0\.png.*changed since it was indexed.*jaxplain index"):
        source.read([3])
    os.remove(folder / "cat/0.png")
    with pytest.raises(FileNotFoundError, match=r"cat/0\.png"):
        source.read([3])


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "pickle", "shuffled", "zero rows", "bomb"])
def test_a_damaged_index_is_named(folder, damage):
    file = write_index(folder, build_index(folder))
    raw = bytearray(file.read_bytes())
    index = build_index(folder)
    if damage == "cut":
        raw = raw[: len(raw) // 2]
    elif damage == "bit":
        raw[raw.index(b"cat/0.png")] ^= 1
    elif damage == "empty":
        raw = bytearray()
    elif damage == "text":
        raw = bytearray(b"id,size\n")
    elif damage == "pickle":
        out = io.BytesIO()
        np.savez(out, version=np.array([{}], object))
        raw = bytearray(out.getvalue())
    elif damage == "shuffled":
        blob, offsets = index.paths.parts
        names = Names(blob, offsets[::-1])
        raw = bytearray(index_bytes(Index(index.id, index.size, index.mtime_ns, index.label, names)))
    elif damage == "bomb":
        out = io.BytesIO()
        np.savez_compressed(out, version=np.zeros(10**6, np.int64))
        raw = bytearray(out.getvalue())
    else:
        nothing = np.zeros(0, np.int64)
        raw = bytearray(index_bytes(Index(index.id[:0], nothing, nothing, nothing, None)))
    file.write_bytes(raw)
    with pytest.raises(InputError, match=r"jaxplain-index\.npz.*: (not a .*jaxplain index|.*never loaded)"):
        read_index(folder)


def test_folders_that_cannot_be_used_are_named(tmp_path, folder):
    with pytest.raises(InputError, match="no index; run `jaxplain index"):
        folder_source(folder, input=HOW)
    with pytest.raises(InputError, match="no such folder"):
        build_index(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        build_index(tmp_path / "empty")
    os.symlink("nowhere", tmp_path / "empty" / "x.png")
    with pytest.raises(InputError, match=r"x\.png.*leads nowhere"):
        build_index(tmp_path / "empty")


def test_links_are_followed_but_not_in_a_ring(folder):
    n = len(build_index(folder))
    os.symlink(folder, folder / "cat" / "ring")
    os.symlink(folder / "loose.png", folder / "cat" / "other.png")
    assert len(build_index(folder)) == n + 1


def test_images_are_read_in_the_order_asked_for(folder):
    source = indexed(folder)
    assert len(source) == 7 and source.shape == (6, 5, 3)
    got = source.read([4, 3, 1, 4])
    for i, path in enumerate(["cat/1.png", "cat/0.png", "ant/1.bmp", "cat/1.png"]):
        with Image.open(folder / path) as image:
            np.testing.assert_allclose(got.image[i], np.asarray(image) / np.float32(255), rtol=1e-6)
    assert got.label.tolist() == [1, 1, 0, 1] and got.status.tolist() == [0] * 4
    np.testing.assert_array_equal(got.id, source.ids[[4, 3, 1, 4]])
    one = indexed(folder, threads=1)
    np.testing.assert_array_equal(one.read(range(7)).image, source.read(range(7)).image)
    assert source.read([]).image.shape == (0, 6, 5, 3)
    for each in (one, source):
        each.close()


def test_unreadable_images_are_quarantined_with_a_reason(folder, write_image):
    whole = write_image(folder / "bad" / "cut.jpg", size=(64, 64)).read_bytes()
    flipped = bytearray(write_image(folder / "bad" / "flipped.png", size=(64, 64)).read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    contents = {
        "cut.jpg": whole[: len(whole) // 2],
        "flipped.png": bytes(flipped),
        "empty.png": b"",
        "text.png": b"<script>",
        "bomb.png": png(8001, 8000),
        "large bomb.png": png(30000, 30000),
        "middle bomb.png": png(10000, 10000),
        "short.png": png(6, 5, b"\0"),
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n",
    }
    for name, raw in contents.items():
        (folder / "bad" / name).write_bytes(raw)
    source = indexed(folder)
    got = source.read(range(len(source)))
    bad = [row for row, path in enumerate(source.names) if path.startswith("bad/")]
    assert np.flatnonzero(got.status == codes.UNREADABLE).tolist() == bad == sorted(source.reasons)
    assert (got.image[bad] == 0).all()
    assert (np.delete(got.status, bad) == codes.OK).all()
    reason = {source.names[row]: text for row, text in source.reasons.items()}
    assert all("64000000" in reason[f"bad/{name}"] for name in contents if "bomb" in name)
    assert "truncated" in reason["bad/cut.jpg"]
    assert all(text and "\n" not in text for text in reason.values())


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    def load(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(Unreadable, match="8001 x 8000"):
        decode_image(png(8001, 8000), HOW)


def test_a_failing_disk_is_no_bad_image(folder, monkeypatch):
    source = indexed(folder)
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    monkeypatch.setattr(retries.time, "sleep", lambda seconds: None)
    true_bytes, failures = Folder.fetch, []

    def failing(self, row):
        if row == 2 and failures:
            raise OSError(failures.pop(), "the disk failed")
        return true_bytes(self, row)

    monkeypatch.setattr(Folder, "fetch", failing)
    failures[:] = [errno.EIO, errno.EIO]
    assert (source.read([1, 2]).status == codes.OK).all()
    failures[:] = [errno.EIO] * 3
    with pytest.raises(OSError, match=r"Input/output error: .*ant/2\.PNG"):
        source.read([1, 2])
    failures[:] = [errno.EACCES, errno.EACCES]
    with pytest.raises(PermissionError):
        source.read([2])
    assert len(failures) == 1 and source.reasons == {}


def test_images_of_another_size_name_the_remedy(folder, write_image):
    write_image(folder / "cat" / "wide.png", size=(6, 9))
    source = indexed(folder)
    with pytest.raises(InputError, match=r"wide\.png.*\(6, 9, 3\).*input\.resize"):
        source.read([len(source) - 2])
    resized = folder_source(folder, input=Input(resize=(8, 8), divisor=255))
    assert resized.shape == (8, 8, 3) and (resized.read(range(len(resized))).status == 0).all()


def test_settings_that_do_not_fit_the_images_name_the_file(folder):
    write_index(folder, build_index(folder))
    with pytest.raises(InputError, match=r"ant/0\.jpg.*input\.divisor"):
        folder_source(folder)
    with pytest.raises(InputError, match=r"ant/0\.jpg.*input\.crop"):
        folder_source(folder, input=Input(divisor=255, crop=50))
    with pytest.raises(InputError, match="threads"):
        folder_source(folder, input=HOW, threads=0)


def test_a_folder_without_one_sound_image_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"none of the first 1 images can be read.*x\.png"):
        indexed(tmp_path)


def test_labels_come_from_folders_names_or_a_csv(folder, tmp_path):
    assert indexed(folder, names=["cat", "dog", "ant"]).labels.tolist() == [2, 2, 2, 0, 0, 0, -1]
    assert indexed(folder, names=["Ants", "Cats"]).class_names == ("Ants", "Cats")
    with pytest.raises(InputError, match="2 classes"):
        indexed(folder, names=["a", "b", "c"])
    (tmp_path / "l.csv").write_text("path,label\nloose.png,yes\ncat/0.png,no\n")
    source = indexed(folder, labels=str(tmp_path / "l.csv"))
    assert source.labels.tolist() == [-1, -1, -1, 0, -1, -1, 1] and source.class_names == ("no", "yes")


def test_a_folder_is_opened_by_its_address(folder, tmp_path):
    write_index(folder, build_index(folder))
    for url in (folder, f"folder://{folder}"):
        assert open_source(url, HOW, threads=2).read([0]).status.tolist() == [0]
    (folder / INDEX_NAME).rename(tmp_path / "elsewhere.npz")
    source = open_source(folder, HOW, index=tmp_path / "elsewhere.npz")
    assert source.fingerprint == open_source(folder, HOW, index=tmp_path / "elsewhere.npz").fingerprint


def test_an_index_cannot_lead_out_of_its_folder(folder, write_image, tmp_path):
    outside = write_image(tmp_path / "outside.png")
    facts = os.stat(outside)
    names = Names.of(["../outside.png"])
    columns = (np.array([value], np.int64) for value in (facts.st_size, facts.st_mtime_ns, 0))
    index = parse_index(index_bytes(Index(np.array([1], np.uint64), *columns, names)), "x")
    write_index(folder, index)
    with pytest.raises(InputError, match="leads out of the folder"):
        folder_source(folder, input=HOW, check=False)


def test_every_source_has_an_index_for_the_store(folder, tmp_path):
    (tmp_path / "l.csv").write_text("path,label\nloose.png,yes\ncat/0.png,no\n")
    source = indexed(folder, labels=str(tmp_path / "l.csv"))
    index = parse_index(index_bytes(index_of(source)), "x")
    assert index.labels.values.tolist() == source.labels.tolist() and index.labels.names == ("no", "yes")
    assert list(index.paths) == list(source.names)
    arrays = index_of(array_source(np.zeros((3, 2, 2)), [0, 1, 0], names=["a", "b"]))
    arrays = parse_index(index_bytes(arrays), "x")
    assert arrays.id.tolist() == [0, 1, 2] and arrays.paths is None and arrays.class_names == ("a", "b")
    assert parse_index(index_bytes(index_of(array_source(np.zeros((3, 2, 2))))), "x").labels is None
