"""Tar files: samples by key, read where they lie; whatever is wrong with an archive is named, nothing is extracted."""

import io
import os
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jaxplain._errors import InputError
from jaxplain.io import status as codes
from jaxplain.io import tarfiles
from jaxplain.io.braces import expanded
from jaxplain.io.index import image_id, index_bytes, parse_index, write_index
from jaxplain.io.input import Input
from jaxplain.io.names import Names
from jaxplain.io.shards import build_shard_index, shard_index_place
from jaxplain.io.sources import open_source
from jaxplain.io.sources.encoded import decoding_threads
from jaxplain.io.sources.webdataset import webdataset_source

HOW = Input(divisor=255)


def pixels(seed, size=(6, 5)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def png(seed, size=(6, 5)):
    out = io.BytesIO()
    Image.fromarray(pixels(seed, size)).save(out, "png")
    return out.getvalue()


def write_tar(path, files, change=None, format=tarfile.PAX_FORMAT):
    """Write members (name, bytes) in order; ``change`` may alter each header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as archive:
        for name, raw in files:
            header = tarfile.TarInfo(name)
            header.size = len(raw)
            if change is not None:
                change(header)
            archive.addfile(header, io.BytesIO(raw))
    return path


@pytest.fixture
def shards(tmp_path):
    """Two archives of three samples each, with labels, metadata and things that are no images."""
    root = tmp_path / "some shards"
    for shard in range(2):
        files = []
        for i in range(3):
            files += [(f"{i:04d}.png", png(3 * shard + i)), (f"{i:04d}.cls", str(i).encode())]
            files += [(f"{i:04d}.seg.png", b"a mask"), (f"{i:04d}.json", b'{"label": 7}')]
        write_tar(root / f"train-{shard:02d}.tar", [*files, ("._0000.png", b"x"), ("README", b"x")])
    return root


def indexed(where, **options):
    index = build_shard_index(str(where))
    place = shard_index_place(str(where))
    write_index(os.path.dirname(place), index, os.path.basename(place))
    return webdataset_source(str(where), input=HOW, **options)


def test_images_come_from_the_members_in_any_order(shards):
    source = indexed(shards)
    assert len(source) == 6 and source.shape == (6, 5, 3)
    assert source.labels.tolist() == [0, 1, 2] * 2 and source.class_names is None
    assert list(source.names[:2]) == ["train-00.tar/0000.png", "train-00.tar/0001.png"]
    rows = [4, 0, 5, 4]
    got = source.read(rows)
    want = np.stack([pixels(row) for row in rows]).astype(np.float32) / np.float32(255)
    np.testing.assert_allclose(got.image, want, rtol=1e-6)
    assert got.status.tolist() == [codes.OK] * 4 and got.label.tolist() == [1, 0, 2, 1]
    assert source.ids[4] == image_id("train-01.tar/0001")
    assert not [name for name in os.listdir(shards) if name.endswith(".png")]
    assert source.read([]).image.shape == (0, 6, 5, 3)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_odd_names_are_names(tmp_path, format):
    names = ["../../etc/passwd.png", "/abs/0.png", "./a/ü😀.png", "x\n[red].png"]
    names += [] if format == tarfile.USTAR_FORMAT else ["a" * 300 + "/b.png"]
    source = indexed(write_tar(tmp_path / "x.tar", [(name, png(i)) for i, name in enumerate(names)], format=format))
    assert list(source.names) == [f"x.tar/{name}" for name in names]
    assert (source.read(range(len(names))).status == codes.OK).all() and source.labels is None


def test_a_pattern_names_the_archives_and_keeps_an_index_of_its_own(shards, tmp_path):
    pattern = f"{shards}/train-{{00..01}}.tar"
    source, whole = indexed(pattern), indexed(shards)
    assert source.fingerprint == whole.fingerprint and (source.ids == whole.ids).all()
    assert shard_index_place(pattern) != shard_index_place(str(shards))
    for url in (pattern, f"webdataset://{pattern}", f"webdataset://{shards}"):
        assert open_source(url, HOW, threads=1).read([5]).label.tolist() == [2]
    write_tar(shards / "train-00b.tar", [("README.txt", b"no image")])
    assert indexed(shards).ids.tolist() == whole.ids.tolist() and list(indexed(shards).names) == list(whole.names)
    os.remove(shards / "train-00b.tar")
    os.rename(shards, tmp_path / "moved")
    assert indexed(tmp_path / "moved").fingerprint == whole.fingerprint


def test_braces():
    assert expanded("a{0..2}b") == ["a0b", "a1b", "a2b"]
    assert expanded("{x,y}/{08..10}") == ["x/08", "x/09", "x/10", "y/08", "y/09", "y/10"]
    for pattern in ("a{b}", "a{3..1}", "a{1..9", "{0..999999999}", "{0..9999}{0..9999}"):
        with pytest.raises(InputError, match=r"range|brace|paths"):
            expanded(pattern)


def test_labels_are_words_or_numbers_of_cls_or_json(tmp_path):
    files = [
        ("0.png", png(0)),
        ("0.json", b'{"label": "cat"}'),
        ("1.png", png(1)),
        ("1.cls", b"ant\n"),
        ("2.png", png(2)),
    ]
    source = indexed(write_tar(tmp_path / "x.tar", files))
    assert source.labels.tolist() == [1, 0, -1] and source.class_names == ("ant", "cat")
    assert webdataset_source(tmp_path / "x.tar", input=HOW, names=["cat", "dog", "ant"]).labels.tolist() == [0, 2, -1]
    for raw in (b"{", b"[" * 100_000, b"\xff"):
        with pytest.raises(InputError, match=r"x\.tar: label '0\.json' cannot be read"):
            build_shard_index(str(write_tar(tmp_path / "x.tar", [("0.png", png(0)), ("0.json", raw)])))
    numbers = write_tar(tmp_path / "y.tar", [("0.png", png(0)), ("0.cls", b"5")])
    indexed(numbers)
    with pytest.raises(InputError, match="label 5, outside"):
        webdataset_source(numbers, input=HOW, names=["a", "b"])


def sparse(path):
    """A GNU header that says a gigabyte of holes."""
    write_tar(path, [("0.png", png(0))], format=tarfile.GNU_FORMAT)
    raw = bytearray(path.read_bytes())
    raw[156:157] = b"S"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    path.write_bytes(raw)


def of_type(kind):
    def change(header):
        header.type, header.linkname = kind, "/etc/passwd"
        header.size = 0

    return lambda path: write_tar(path, [("0.png", b"")], change)


def cut(keep):
    def make(path):
        raw = write_tar(path, [("0.png", png(0)), ("1.png", png(1))]).read_bytes()
        path.write_bytes(raw[: keep(raw)])

    return make


def longname(path):
    """A GNU long name that declares a gigabyte."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**30
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(2**16))


def chain(path):
    """Long names of long names of long names."""
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 8
    path.write_bytes((header.tobuf(tarfile.GNU_FORMAT) + bytes(tarfile.BLOCKSIZE)) * 2000)


def attributes(path):
    """A PAX header of a hundred kilobytes."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        header = tarfile.TarInfo("0.png")
        header.pax_headers = {"comment": "x" * 100_000}
        archive.addfile(header)


def declares(size):
    def make(path):
        header = tarfile.TarInfo("0.png")
        header.size = size
        path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))

    return make


def damaged(path):
    raw = bytearray(write_tar(path, [("0.png", png(0)), ("1.png", png(1))]).read_bytes())
    raw[tarfile.BLOCKSIZE * (1 + -(-len(png(0)) // tarfile.BLOCKSIZE)) + 3] ^= 1
    path.write_bytes(raw)


def twice(path):
    raw = write_tar(path, [("0.png", png(0))]).read_bytes()
    path.write_bytes(raw + raw)


HOSTILE = {
    "a symbolic link": (of_type(tarfile.SYMTYPE), "no regular file"),
    "a hard link": (of_type(tarfile.LNKTYPE), "no regular file"),
    "a device": (of_type(tarfile.CHRTYPE), "no regular file"),
    "a sparse file": (sparse, "no regular file|not a sound tar"),
    "cut in a member": (cut(lambda raw: 700), "not a sound tar|truncated"),
    "cut in a header": (cut(lambda raw: raw.index(b"1.png") + 100), "truncated|damaged"),
    "cut before its end mark": (cut(lambda raw: len(raw.rstrip(b"\0")) // 512 * 512 + 512), "truncated"),
    "a damaged header": (damaged, "damaged"),
    "two archives in one": (twice, "goes on behind its end"),
    "an absurd size": (declares(2**50), "truncated|not a sound tar"),
    "a negative size": (declares(-512), "truncated|not a sound tar"),
    "an absurd long name": (longname, "declares 1073741824 bytes"),
    "a chain of long names": (chain, "not a sound tar"),
    "an absurd extended header": (attributes, "a header declares"),
    "compressed": (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(1000)), "not a sound tar"),
    "empty": (lambda path: path.write_bytes(b""), "not a sound tar"),
    "no images": (lambda path: write_tar(path, [("0.txt", b"x")]), "no images"),
    "a key twice": (lambda path: write_tar(path, [("0.png", png(0)), ("0.png", png(1))]), "there twice"),
    "two images of a key": (lambda path: write_tar(path, [("0.png", png(0)), ("0.jpg", b"")]), "several images"),
    "an absurd label": (
        lambda path: write_tar(path, [("0.png", png(0)), ("0.cls", bytes(2**20 + 1))]),
        "1048577 bytes",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_that_cannot_be_trusted_is_named(tmp_path, kind):
    make, message = HOSTILE[kind]
    make(tmp_path / "bad.tar")
    with pytest.raises(InputError, match=rf"bad\.tar.*({message})"):
        build_shard_index(str(tmp_path / "bad.tar"))


def test_members_and_names_beyond_the_bounds_are_refused(tmp_path, monkeypatch):
    path = str(write_tar(tmp_path / "x.tar", [(f"{'n' * 200}{i}.png", b"") for i in range(5)]))
    monkeypatch.setattr(tarfiles, "MAX_MEMBERS", 4)
    with pytest.raises(InputError, match="more than 4 members"):
        list(tarfiles.members(path))
    monkeypatch.setattr(tarfiles, "MAX_NAME", 100)
    with pytest.raises(InputError, match="name of more than 100 bytes"):
        list(tarfiles.members(path))


def test_bad_images_in_an_archive_are_quarantined(tmp_path, monkeypatch):
    files = [
        ("0.png", png(0)),
        ("1.png", b"no image"),
        ("2.png", png(2)[:60]),
        ("3.png", b""),
        ("4.png", png(4, (40, 40))),
    ]
    source = indexed(write_tar(tmp_path / "x.tar", files))
    monkeypatch.setattr("jaxplain.io.sources.webdataset.MAX_FILE", 2000)
    assert source.read([0, 1, 2, 3, 4]).status.tolist() == [0, 1, 1, 1, 1]
    assert "more than 2000" in source.reasons[4]


@pytest.mark.parametrize("change", ["touched", "shrunk", "gone", "reordered"])
def test_archives_that_change_while_they_are_used_are_refused(shards, change):
    source, path = indexed(shards), shards / "train-01.tar"
    facts = os.stat(path)
    if change == "touched":
        os.utime(path, ns=(5, 5))
    elif change == "shrunk":
        os.truncate(path, 3000)
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    elif change == "gone":
        os.remove(path)
    else:
        os.replace(shards / "train-00.tar", path)
    assert source.read([0]).status.tolist() == [0] if change != "reordered" else True
    for attempt in (lambda: source.read([3]), lambda: webdataset_source(shards, input=HOW)):
        with pytest.raises(InputError, match=r"train-0\d\.tar: (changed since|no such).*jaxplain index .* again"):
            attempt()


def test_an_index_comes_back_whole_and_a_wrong_one_is_refused(shards, tmp_path):
    index = build_shard_index(str(shards))
    found = parse_index(index_bytes(index), "x")
    assert found.fingerprint == index.fingerprint and list(found.members.shards) == ["train-00.tar", "train-01.tar"]
    for wrong in ({"shard": index.members.shard + 1}, {"offset": index.members.offset + 10**6}, {"offset": index.id}):
        with pytest.raises(InputError, match="not a sound index"):
            parse_index(index_bytes(replace(index, members=replace(index.members, **wrong))), "x")
    outside = replace(index, members=replace(index.members, shards=Names.of(["../a.tar", "/b.tar"])))
    write_index(tmp_path, outside, "outside.npz")
    with pytest.raises(InputError, match="leads out of its folder"):
        webdataset_source(shards, input=HOW, index=tmp_path / "outside.npz")
    os.remove(tmp_path / "outside.npz")
    with pytest.raises(InputError, match=r"no index; .*For tar files: `jaxplain index"):
        webdataset_source(shards, input=HOW)
    with pytest.raises(InputError, match="mount the bucket"):
        open_source("webdataset://s3://bucket/x.tar", HOW)
    with pytest.raises(InputError, match=r"train-02\.tar: no such file"):
        build_shard_index(f"{shards}/train-{{00..02}}.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no files ending in \.tar"):
        build_shard_index(str(tmp_path / "empty"))


def test_threads_leave_the_computation_its_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(12)))
    assert decoding_threads() == 6 and decoding_threads(shared=False) == 11 and decoding_threads(3) == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert decoding_threads() == decoding_threads(shared=False) == 1
    with pytest.raises(InputError, match="at least 1"):
        decoding_threads(0)
