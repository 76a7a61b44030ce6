"""Arrays, .npy, .npz, IDX and zarr: the same images whatever holds them, and every damage is named."""

import errno
import gzip
import io
import os
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.io import status as codes
from jaxplain.io.arrays import ArraySpec
from jaxplain.io.input import Input
from jaxplain.io.sink import StoreSink
from jaxplain.io.sources import array_source, npy, open_source
from jaxplain.io.sources.rowfile import RowFile
from jaxplain.io.storage import Storage

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (11, 5, 4), np.uint8)
LABELS = RNG.integers(0, 3, 11)
HOW = Input(divisor=255)


def idx_bytes(array):
    code = {"uint8": 8, "int32": 12}[array.dtype.name]
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def make(kind, folder):
    """Write the images in one of the formats; return the address and the labels' argument."""
    if kind in ("npz", "npz-packed"):
        save = np.savez if kind == "npz" else np.savez_compressed
        save(folder / "set.npz", images=IMAGES, labels=LABELS)
        return f"npz://{folder}/set.npz", None
    if kind == "npz-keys":
        np.savez(folder / "set?.npz", x=IMAGES, y=LABELS)
        (folder / "set?.npz").rename(folder / "set.npz")
        return f"npz://{folder}/set.npz?images=x&labels=y", None
    if kind == "zarr":
        storage = Storage.open(folder / "set.zarr")
        sink = StoreSink(storage)
        sink.create([ArraySpec("a/images", IMAGES.shape, "uint8", ("i", "y", "x"), 4)])
        sink.create([ArraySpec("a/y", LABELS.shape, "int64", ("i",), 4)])
        sink.write("a/images", 0, IMAGES).result()
        sink.write("a/y", 0, LABELS).result()
        return f"zarr://{folder}/set.zarr?images=a/images&labels=a/y", None
    np.save(folder / "labels.npy", LABELS)
    if kind in ("npy", "npy-fortran"):
        np.save(folder / "set.npy", IMAGES if kind == "npy" else np.asfortranarray(IMAGES))
        return f"{folder}/set.npy", str(folder / "labels.npy")
    zipped = kind == "idx-gz"
    for name, array in (("images", IMAGES), ("labels", LABELS.astype(np.int32))):
        raw = idx_bytes(array)
        (folder / f"{name}-ubyte").write_bytes(gzip.compress(raw) if zipped else raw)
    return f"idx://{folder}/images-ubyte", str(folder / "labels-ubyte")


KINDS = ["npz", "npz-packed", "npz-keys", "npy", "npy-fortran", "idx", "idx-gz", "zarr"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_images(tmp_path, kind):
    url, labels = make(kind, tmp_path)
    source = open_source(url, HOW, labels=labels, names=["a", "b", "c"])
    want = array_source(IMAGES, LABELS, input=HOW, names=["a", "b", "c"])
    assert len(source) == 11 and source.shape == (5, 4, 1) and source.class_names == ("a", "b", "c")
    for rows in ([0], [10, 2, 3, 4, 2], list(range(11)), []):
        got, expected = source.read(rows), want.read(rows)
        for field in ("image", "label", "id", "status"):
            np.testing.assert_array_equal(getattr(got, field), getattr(expected, field))
        assert got.image.dtype == np.float32 and got.id.dtype == np.uint64 and got.status.dtype == np.uint8
    np.testing.assert_allclose(source.read([3]).image[0, ..., 0], IMAGES[3] / 255, rtol=1e-6)
    assert source.fingerprint == want.fingerprint
    assert source.names is None and source.reasons == {}
    source.close()


@pytest.mark.parametrize("kind", ["npz", "npy", "idx"])
def test_plain_files_are_read_where_they_lie(tmp_path, kind):
    url, labels = make(kind, tmp_path)
    assert isinstance(open_source(url, HOW, labels=labels)._images, RowFile)


def test_memory_maps_are_read_as_files(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert isinstance(array_source(mapped, input=HOW)._images, RowFile)
    part = array_source(mapped[3:], input=HOW)  # a part of a map has another beginning: left alone
    np.testing.assert_array_equal(part.read([0]).image, array_source(IMAGES[3:], input=HOW).read([0]).image)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    script = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from jaxplain.io.input import Input
        from jaxplain.io.sources import array_source, open_source
        how, path = Input(divisor=255), sys.argv[1]
        with open(path, "wb") as file:
            shape = (65536, 32, 32)
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(file.tell() + 65536 * 1024)
        peaks = []
        for source in (open_source(path, how), array_source(np.load(path, mmap_mode="r"), input=how)):
            source.read(range(256))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for first in range(0, len(source), 256):
                source.read(np.arange(first, first + 256))
            source.fingerprint
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        sys.exit(0 if max(peaks) < 40 * 1024 else f"grew by {peaks} KiB")
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.npy")], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_bad_pixels_are_quarantined_and_zeroed():
    images = RNG.normal(size=(4, 3, 3, 1))
    images[1, 0, 0] = np.nan
    images[2, 1, 1] = np.inf
    images[3, 0, 0] = 1e300
    source = array_source(images, [0, 1, 2, 3])
    got = source.read([3, 2, 1, 0])
    assert got.status.tolist() == [codes.BAD_PIXELS] * 3 + [codes.OK]
    assert (got.image[:3] == 0).all() and np.isfinite(got.image).all()
    assert set(source.reasons) == {1, 2, 3} and "NaN" in source.reasons[1]
    assert got.label.tolist() == [3, 2, 1, 0]


def test_no_labels_and_several_labels():
    assert array_source(IMAGES, input=HOW).read([1, 2]).label.tolist() == [-1, -1]
    several = RNG.integers(0, 2, (11, 3))
    np.testing.assert_array_equal(array_source(IMAGES, several, input=HOW).read([4, 0]).label, several[[4, 0]])


def test_the_fingerprint_sees_pixels_labels_and_shapes():
    prints = {array_source(IMAGES, LABELS, input=HOW).fingerprint}
    changed = IMAGES.copy()
    changed[7, 2, 2] ^= 1
    prints.add(array_source(changed, LABELS, input=HOW).fingerprint)
    prints.add(array_source(IMAGES, (LABELS + 1) % 3, input=HOW).fingerprint)
    prints.add(array_source(IMAGES, input=HOW).fingerprint)
    prints.add(array_source(IMAGES.reshape(11, 4, 5), LABELS, input=HOW).fingerprint)
    prints.add(array_source(IMAGES.view(np.int8), LABELS, input=HOW).fingerprint)
    assert len(prints) == 6


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (np.zeros((0, 4, 4)), None, "no images"),
        (np.zeros(4), None, r"\(N, ...\)"),
        (np.array(["a", "b"]), None, "numbers"),
        (np.zeros((2, 3, 3), complex), None, "numbers"),
        (np.zeros((2, 3, 3)), [0, 1, 2], "labels of images: expected labels for 2 images"),
        (np.zeros((2, 3, 3), np.uint8), None, r"images: input\.divisor"),
    ],
)
def test_arrays_that_do_not_fit_are_named(images, labels, match):
    with pytest.raises(InputError, match=match):
        array_source(images, labels)


@pytest.mark.parametrize("rows", [[11], [-1], [0.5], [[0]], ["a"]])
def test_rows_outside_are_refused(rows):
    with pytest.raises(InputError, match=r"0 \.\.\. 10"):
        array_source(IMAGES, input=HOW).read(rows)


def object_npy():
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": (2, 2)})
    return out.getvalue() + b"cos\nsystem\n(S'true'\ntR."


def npy_header(shape, descr="|u1"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


def zipped(content, method=zipfile.ZIP_STORED, name="images.npy"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "raw", "match"),
    [
        ("a.npy", b"", "not a .npy"),
        ("a.npy", object_npy(), "never loaded"),
        ("a.npy", npy_header((4, 4, 4)) + bytes(63), "truncated"),
        ("a.npy", npy_header((2**40, 2**40, 4)), "truncated"),
        ("a.npy", npy_header((0, 4, 4)), "no images"),
        ("a.npy", npy_header((4, 4), "<U8") + bytes(512), "numbers"),
        ("a.npz", b"", "sound .npz"),
        ("a.npz", zipped(object_npy()), "never loaded"),
        ("a.npz", zipped(object_npy(), zipfile.ZIP_DEFLATED), "never loaded"),
        ("a.npz", zipped(npy_header((4, 4, 4)) + bytes(60)), "truncated"),
        ("a.npz", zipped(npy_header((4, 4, 4)) + bytes(60), zipfile.ZIP_DEFLATED), "declared|truncated"),
        ("a.npz", zipped(npy_header((4, 4, 4)) + bytes(70), zipfile.ZIP_DEFLATED), "another number"),
        ("a.npz", zipped(npy_header((4, 4, 4)) + bytes(64), name="imagse.npy"), "did you mean 'imagse'"),
        ("a.idx", b"\0\0\x08", "IDX"),
        ("a.idx", b"nonsense", "IDX"),
        ("a.idx", idx_bytes(IMAGES)[:-1], "truncated"),
        ("a.idx", idx_bytes(IMAGES)[:9], "truncated"),
        ("a.idx.gz", gzip.compress(idx_bytes(IMAGES)[:-1]), "truncated"),
        ("a.idx.gz", gzip.compress(idx_bytes(IMAGES) + b"x"), "more than"),
        ("a.idx.gz", gzip.compress(idx_bytes(IMAGES))[:-20], "sound gzip"),
        ("a.idx.gz", b"\x1f\x8bnonsense", "sound gzip"),
        ("a.bin", b"", "write it with one of"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, raw, match):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match=rf"(?s){name}.*({match})"):
        open_source(tmp_path / name, HOW)


def test_archives_that_declare_too_much_are_refused_before_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr(npy, "MAX_UNPACKED", 100)
    monkeypatch.setattr("jaxplain.io.sources.idx.MAX_UNPACKED", 100)
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES)
    (tmp_path / "a.idx.gz").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    for name in ("a.npz", "a.idx.gz"):
        with pytest.raises(InputError, match="declares"):
            open_source(tmp_path / name, HOW)


def test_a_file_that_is_changed_or_cut_while_in_use_is_an_error_and_no_zeros(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    source = open_source(tmp_path / "a.npy", HOW)
    os.utime(tmp_path / "a.npy", ns=(5, 5))
    with pytest.raises(InputError, match="changed while in use"):
        source.read([1])
    source = open_source(tmp_path / "a.npy", HOW)
    os.truncate(tmp_path / "a.npy", 200)
    with pytest.raises(InputError, match="changed while in use"):
        source.read([10])


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("nothing.npz", "no such folder or file"),
        ("npz://nothing.npz", "no such file"),
        ("npy://nothing.npy", "no such file"),
        ("idx://nothing", "no such file"),
        ("zarr://nothing", "no zarr array"),
        ("folder://nothing", "no such folder"),
        ("npx://a", "did you mean 'npz'"),
        ("npz://nothing.npz?image=x", "did you mean 'images'"),
    ],
)
def test_addresses_that_lead_nowhere_are_named(tmp_path, monkeypatch, url, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=match):
        open_source(url, HOW)


def test_labels_that_do_not_fit_name_their_file(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS, other=LABELS[:-1])
    with pytest.raises(InputError, match=r"a\.npz\[labels\]: row"):
        open_source(tmp_path / "a.npz", HOW, names=["only", "two"])
    with pytest.raises(InputError, match=r"a\.npz\[other\]: expected labels for 11"):
        open_source(tmp_path / "a.npz", HOW, labels="other")
    with pytest.raises(InputError, match="did you mean 'other'"):
        open_source(tmp_path / "a.npz", HOW, labels="othr")
    (tmp_path / "l.csv").write_text("label\n" + "1\n" * 11)
    assert open_source(tmp_path / "a.npz", HOW, labels=str(tmp_path / "l.csv")).labels.tolist() == [1] * 11


@pytest.mark.parametrize("version", [2, 3])
def test_arrays_written_by_zarr_python_are_read(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    images = IMAGES.copy()
    images[:4] = 0  # a chunk of fill values is not written by zarr, and is no missing data in a source
    zarr.create_array(tmp_path / "a.zarr", data=images, chunks=(4, 5, 4), zarr_format=version)
    source = open_source(f"zarr://{tmp_path}/a.zarr", HOW)
    np.testing.assert_allclose(source.read([1, 9, 8]).image[..., 0], images[[1, 9, 8]] / 255, rtol=1e-6)
    assert open_source(tmp_path / "a.zarr", HOW).fingerprint == source.fingerprint


def test_a_failing_disk_names_the_file(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", IMAGES)
    source = open_source(tmp_path / "a.npy", HOW)
    true_read, failures = os.preadv, [errno.EIO]

    def preadv(*arguments):
        if failures:
            raise OSError(failures.pop(), "failed")
        return true_read(*arguments)

    monkeypatch.setattr(os, "preadv", preadv)
    monkeypatch.setattr("jaxplain.io.retries.time.sleep", lambda seconds: None)
    np.testing.assert_allclose(source.read([2]).image[0, ..., 0], IMAGES[2] / 255, rtol=1e-6)
    failures[:] = [errno.EIO] * 3
    with pytest.raises(OSError, match=r"a\.npy"):
        source.read([2])


def test_parts_of_a_read_are_put_together(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", IMAGES)
    source = open_source(tmp_path / "a.npy", HOW)
    true_read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at: true_read(file, [buffers[0][:7]], at))
    np.testing.assert_allclose(source.read([2, 3, 9]).image[..., 0], IMAGES[[2, 3, 9]] / 255, rtol=1e-6)
