"""From an image to the network's input: against the formula, Pillow's filters and PyTorch's interpolation."""

import tomllib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxplain._errors import InputError, InputTypeError
from jaxplain.io.input import Input
from jaxplain.models import ARCHITECTURES, Preprocessing
from jaxplain.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, imagenet
from jaxplain.testing.tolerance import tol

CHECKPOINTS = [(name, naming) for name, entry in ARCHITECTURES.items() for naming in entry.namings]


def photo(height, width):
    """A smooth image, in which neighbors differ."""
    rows, columns, channels = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return np.uint8(127.5 + 127.4 * np.sin(0.07 * rows + 0.11 * columns + channels))


def test_a_plain_image_becomes_the_formula():
    how = imagenet(256, 224, "bilinear", "here")
    got = how(Image.new("RGB", (300, 400), (255, 51, 0)))
    want = (np.array([1.0, 0.2, 0.0]) - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(got, np.broadcast_to(want, (224, 224, 3)), **tol(np.float32, scale=3))


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [
        ((300, 401), (256, 342), (16, 59)),  # 342.19 is cut, the crop begins at 59
        ((401, 300), (342, 256), (59, 16)),
        ((256, 343), (256, 343), (16, 60)),  # 59.5 goes to the even neighbor, as in torchvision
        ((128, 128), (256, 256), (16, 16)),  # small images grow
    ],
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_shorter_side_is_resized_and_the_center_is_cut(size, resized, corner, interpolation):
    image = Image.fromarray(photo(*size))
    how = imagenet(256, 224, interpolation, "here")
    pixels = np.asarray(image.resize(resized[::-1], Image.Resampling[interpolation.upper()]), np.float64)
    pixels = pixels[corner[0] : corner[0] + 224, corner[1] : corner[1] + 224]
    want = (pixels / 255 - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(how(image), want, **tol(np.float32, scale=3))
    np.testing.assert_array_equal(how(photo(*size)), how(image))


def test_frames_of_a_video_are_interpolated_between_four_pixels():
    torch = pytest.importorskip("torch")
    how = ARCHITECTURES["r3d_18"].preprocessing["torchvision"]
    clip = np.stack([photo(240, 320), photo(240, 320)[::-1]])
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2).to(torch.float32)
    frames = torch.nn.functional.interpolate(frames, (128, 171), mode="bilinear", align_corners=False, antialias=False)
    pixels = frames.permute(0, 2, 3, 1).numpy()[:, 8:120, 30:142]  # (171 - 112) / 2 = 29.5 goes to the even neighbor
    got = how(clip)
    assert got.shape == (2, 112, 112, 3)
    # 8-bit pixels come out of the interpolation: half a step of 1/255
    np.testing.assert_allclose(how.denormalize(got) * 255, pixels, rtol=0, atol=0.5 + 1e-3)


def test_without_antialiasing_halving_is_the_mean_of_four_pixels():
    image = photo(8, 6)
    got = Preprocessing(resize=(4, 3), antialias=False)(image)
    want = np.rint(image.reshape(4, 2, 3, 2, 3).mean((1, 3))) / 255  # Python and NumPy round halves alike: to even
    np.testing.assert_allclose(got, want, **tol(np.float32))


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_normalizing_is_undone(kind):
    how = Preprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    values = kind(np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 2, 2, 3))
    normalized = how.normalize(values)
    assert type(normalized) is type(values) and normalized.dtype == np.float32
    want = (np.asarray(values, np.float64) - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(normalized, want, **tol(np.float32, scale=3))
    np.testing.assert_allclose(how.denormalize(normalized), values, **tol(np.float32))
    np.testing.assert_array_equal(Preprocessing().normalize(values), values)


@pytest.mark.parametrize(("name", "naming"), CHECKPOINTS)
def test_every_checkpoint_has_a_preprocessing_that_fits_its_network(name, naming):
    entry = ARCHITECTURES[name]
    how = entry.preprocessing[naming]
    assert how.source
    *frames, height, width, channels = entry.input_shape
    times = 1 if how.resize is None else 2
    assert how(np.zeros((*frames, times * height, times * width, channels), np.uint8)).shape == entry.input_shape


def test_a_job_file_can_say_the_same():
    how = imagenet(256, 224, "bicubic", "here")
    section = tomllib.loads(how.lines())["input"]
    np.testing.assert_array_equal(Input(**section).from_array(photo(300, 301)), how(photo(300, 301)))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((8, 8, 3), np.float32), r"float32\[8, 8, 3\].*normalize"),
        (np.zeros((8, 8), np.uint8), r"uint8\[8, 8\]"),
        ([[0]], "list"),
        ("photo.png", "str"),
    ],
)
def test_what_is_no_image_is_refused(image, words):
    with pytest.raises(InputTypeError, match=words):
        Preprocessing()(image)


def test_a_filter_that_cannot_go_without_antialiasing_is_refused():
    with pytest.raises(InputError, match="bicubic"):
        Preprocessing(resize=(4, 4), interpolation="bicubic", antialias=False)
    with pytest.raises(InputError, match="interpolation"):
        Preprocessing(interpolation="bilinea")
