"""Any damage to any file ends in a named error or in values, never in another exception."""

import gzip
import io
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxplain._errors import InputError
from jaxplain.io.index import Index, Names, index_bytes, parse_index
from jaxplain.io.input import Input
from jaxplain.io.sources import open_source
from jaxplain.io.sources.decoding import Unreadable, decode_image

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)
HOW = Input(divisor=255)


def archive(save):
    out = io.BytesIO()
    save(out, images=IMAGES, labels=np.arange(3))
    return out.getvalue()


def array():
    out = io.BytesIO()
    np.save(out, IMAGES)
    return out.getvalue()


def picture(kind):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)).save(out, kind)
    return out.getvalue()


IDX = bytes([0, 0, 8, 3]) + np.array(IMAGES.shape, ">u4").tobytes() + IMAGES.tobytes()
FILES = {
    "a.npy": array(),
    "stored.npz": archive(np.savez),
    "packed.npz": archive(np.savez_compressed),
    "a.idx": IDX,
    "a.idx.gz": gzip.compress(IDX),
}
NUMBERS = np.arange(3)
INDEX = index_bytes(
    Index(NUMBERS.astype(np.uint64), NUMBERS, NUMBERS, NUMBERS, Names.of(["a", "b/c", "d"]), ("x", "y", "z"))
)
# Where to change what; a place beyond the end wraps around, so that every file is hit everywhere.
DAMAGE = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4)
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def damaged(raw, changes, cut):
    broken = bytearray(raw)
    for place, value in changes:
        broken[place % len(broken)] = value
    return bytes(broken[: len(broken) - cut % len(broken)])


@pytest.mark.parametrize("name", FILES)
@FUZZ
@given(DAMAGE, st.just(0) | st.integers(0, 2**16))
def test_damaged_arrays(tmp_path, name, changes, cut):
    (tmp_path / name).write_bytes(damaged(FILES[name], changes, cut))
    try:
        source = open_source(tmp_path / name, HOW)
        rows = source.read(range(min(3, len(source))))
        source.close()
        assert np.isfinite(rows.image).all()
    except InputError as error:
        assert name in str(error)


@FUZZ
@given(DAMAGE, st.just(0) | st.integers(0, 2**16))
def test_damaged_indexes(changes, cut):
    raw = damaged(INDEX, changes, cut)
    try:
        index = parse_index(raw, "here/index.npz")
        assert [len(path) for path in index.paths] and len(index) == 3
    except InputError as error:
        assert "here/index.npz" in str(error)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@FUZZ
@given(DAMAGE, st.just(0) | st.integers(0, 2**16))
def test_damaged_pictures(kind, changes, cut):
    try:
        pixels = decode_image(damaged(picture(kind), changes, cut), HOW)
        assert pixels.dtype == np.float32 and pixels.ndim == 3
    except Unreadable as error:
        assert str(error)
    except InputError as error:  # a changed mode, such as 16 bits
        assert "input.mode" in str(error)


TEXTS = st.lists(st.binary(max_size=8).map(lambda raw: raw.decode(errors="surrogateescape")), max_size=6)


@FUZZ
@given(TEXTS)
def test_texts_of_any_bytes_come_back(texts):
    names = Names.of(texts)
    assert list(names) == texts and names.sound
    assert names[::-1] == texts[::-1]


def test_a_small_file_that_unpacks_to_much_is_cut_short(tmp_path):
    # A gzip of zeros holds a thousand times its size; only what the header declares is unpacked.
    raw = bytes([0, 0, 8, 3]) + np.array([1, 2, 2], ">u4").tobytes() + bytes(2**24)
    (tmp_path / "a.idx.gz").write_bytes(gzip.compress(raw))
    with pytest.raises(InputError, match="more than the 4 bytes"):
        open_source(tmp_path / "a.idx.gz", HOW)
    assert len(zlib.compress(raw)) < 2**16
