"""Pixels on their way to the model."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from jaxplain._errors import InputError
from jaxplain.io.input import Input

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (7, 9, 3), np.uint8)


def test_scaling_is_divisor_then_mean_then_std():
    how = Input(divisor=255, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.4))
    want = (RGB / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.1, 0.2, 0.4])
    for got in (how.from_pil(Image.fromarray(RGB)), how.from_array(RGB)):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(Input(divisor=1).from_array(RGB), RGB)


@pytest.mark.parametrize("how", [Input(), Input(mean=(0.5,))])
def test_integer_pixels_need_a_divisor(how):
    for call in (lambda: how.from_array(RGB), lambda: how.from_pil(Image.fromarray(RGB))):
        with pytest.raises(InputError, match=r"input\.divisor.*255"):
            call()
    assert how.from_array(RGB.astype(np.float32)).shape == RGB.shape


@pytest.mark.parametrize(
    ("layout", "shape", "want"),
    [
        (None, (4, 5), (4, 5, 1)),
        (None, (4, 5, 3), (4, 5, 3)),
        (None, (4, 5, 6, 2), (4, 5, 6, 2)),
        (None, (8,), (8,)),
        ("HW", (4, 5), (4, 5, 1)),
        ("CHW", (3, 4, 5), (4, 5, 3)),
        ("any", (4, 5, 3), (4, 5, 3)),
        ("any", (4, 5), (4, 5)),
    ],
)
def test_layouts(layout, shape, want):
    array = RNG.normal(size=shape)
    got = Input(layout=layout).from_array(array)
    assert got.shape == want
    if layout == "CHW":
        np.testing.assert_allclose(got[..., 1], array[1], rtol=1e-6)
    batch = np.stack([array, array + 1])
    np.testing.assert_array_equal(Input(layout=layout).from_arrays(batch)[0], got)


def test_arrays_and_files_of_the_same_pixels_are_the_same_input():
    for how in (
        Input(resize=(4, 5), divisor=255),
        Input(resize=4, interpolation="bicubic", divisor=255),
        Input(resize=(14, 20), crop=(6, 8), divisor=255),
    ):
        np.testing.assert_array_equal(how.from_array(RGB), how.from_pil(Image.fromarray(RGB)))
    gray = Input(mode="L", resize=(3, 3), divisor=255)
    np.testing.assert_array_equal(gray.from_array(RGB[..., 0]), gray.from_pil(Image.fromarray(RGB[..., 0])))


def test_one_number_resizes_the_shorter_side():
    assert Input(resize=14, divisor=1).from_array(RGB).shape == (14, 18, 3)
    assert Input(resize=14, divisor=1).from_array(RGB.swapaxes(0, 1)).shape == (18, 14, 3)
    assert Input(resize=14, crop=12, divisor=1).from_array(RGB).shape == (12, 12, 3)


def test_the_crop_is_the_center():
    np.testing.assert_array_equal(Input(crop=(3, 5), divisor=1).from_array(RGB), RGB[2:5, 2:7])


def test_halves_are_rounded_as_torchvision_rounds_them():
    """The longer side is cut to whole pixels; a crop that cannot be centered begins at the even one of two pixels."""
    assert Input(resize=4, divisor=1).from_array(RGB).shape == (4, 5, 3)  # 9 * 4 / 7 = 5.14
    assert Input(resize=5, divisor=1).from_array(RGB).shape == (5, 6, 3)  # 6.43
    assert Input(resize=6, divisor=1).from_array(RGB).shape == (6, 7, 3)  # 7.71
    np.testing.assert_array_equal(Input(crop=(4, 6), divisor=1).from_array(RGB), RGB[2:6, 2:8])  # 1.5 and 1.5
    np.testing.assert_array_equal(Input(crop=(6, 8), divisor=1).from_array(RGB), RGB[0:6, 0:8])  # 0.5 and 0.5


def test_exif_turns_files_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        upright = Input(divisor=1).from_pil(image)
    with Image.open(tmp_path / "a.png") as image:
        as_stored = Input(divisor=1, orientation="none").from_pil(image)
    np.testing.assert_array_equal(as_stored, RGB)
    np.testing.assert_array_equal(upright, np.rot90(RGB, -1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_any_8_bit_file_becomes_the_mode_asked_for(mode):
    image = Image.fromarray(RGB).convert(mode)
    assert Input(divisor=255).from_pil(image).shape == (7, 9, 3)
    assert Input(mode="L", divisor=255).from_pil(image).shape == (7, 9, 1)
    assert Input(mode="RGBA", divisor=255).from_pil(image).shape == (7, 9, 4)


def test_deep_pixels_are_kept_and_never_cut():
    deep = Image.fromarray(np.array([[0, 300], [65535, 1]], np.uint16))
    with pytest.raises(InputError, match="mode 'F'"):
        Input(mode="L", divisor=255).from_pil(deep)
    with pytest.raises(InputError, match="divisor"):
        Input(mode="F").from_pil(deep)
    got = Input(mode="F", divisor=65535).from_pil(deep)
    np.testing.assert_allclose(got[..., 0], np.array([[0, 300], [65535, 1]]) / 65535, rtol=1e-6)
    real = Image.fromarray(np.array([[0.5, -2.0]], np.float32))
    np.testing.assert_array_equal(Input(mode="F").from_pil(real)[..., 0], [[0.5, -2.0]])


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"mode": "rgb"}, "did you mean 'RGB'|known"),
        ({"orientation": "exi"}, "exif"),
        ({"layout": "WH"}, "input.layout"),
        ({"interpolation": "linear"}, "bilinear"),
        ({"resize": (0, 3)}, "input.resize"),
        ({"resize": (1, 2, 3)}, "input.resize"),
        ({"resize": "224"}, "input.resize"),
        ({"crop": 2.5}, "input.crop"),
        ({"resize": True}, "input.resize"),
        ({"std": (0.0,)}, "std"),
        ({"std": (-1.0,)}, "std"),
        ({"divisor": 0}, "divisor"),
        ({"divisor": float("nan")}, "divisor"),
        ({"mean": ("a",)}, "input.mean"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields, match):
    with pytest.raises(InputError, match=match):
        Input(**fields)


@pytest.mark.parametrize(
    ("how", "shape", "match"),
    [
        (Input(crop=9), (4, 5, 1), "exceeds"),
        (Input(layout="CHW"), (4, 5), "input.layout"),
        (Input(mean=(1.0, 2.0)), (4, 5, 3), "channels"),
        (Input(resize=4), (8,), "need images"),
    ],
)
def test_examples_that_do_not_fit_are_refused(how, shape, match):
    with pytest.raises(InputError, match=match):
        how.from_array(np.zeros(shape))


def test_settings_are_values():
    how = Input(resize=[8, 8], mean=[0.5], std=0.5, divisor=255)
    assert how == Input(resize=(8, 8), mean=(0.5,), std=(0.5,), divisor=255.0)
    assert hash(how) == hash(Input(resize=(8, 8), mean=(0.5,), std=(0.5,), divisor=255.0))
    assert Input(**json.loads(json.dumps(dataclasses.asdict(how)))) == how
