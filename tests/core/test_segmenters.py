"""Superpixels: numbered as methods take them, along edges, and a clear word where scikit-image is missing."""

import sys

import numpy as np
import pytest

from jaxplain import InputError
from jaxplain.core.segmenters import numbered, quickshift, slic
from jaxplain.core.segments import as_segments


def halves(channels=3):
    """A dark half beside a bright one, in any unit."""
    image = np.full((24, 30, channels), -50.0)
    image[:, 17:] = 300.0
    return image


@pytest.mark.parametrize(
    ("segmenter", "knobs"), [(slic, {"n_segments": 12, "compactness": 0.1}), (quickshift, {"max_dist": 10.0})]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_superpixels_have_no_gaps_and_keep_to_one_side_of_an_edge(segmenter, knobs, channels):
    pytest.importorskip("skimage")
    image = halves(channels)
    labels = segmenter(image, **knobs)
    parts = as_segments("test", labels, image.shape)
    assert 2 <= parts.n < 200
    assert not set(labels[:, :17].ravel()) & set(labels[:, 17:].ravel())
    np.testing.assert_array_equal(segmenter(image, **knobs), labels)


def test_slic_cuts_volumes():
    pytest.importorskip("skimage")
    labels = slic(np.random.default_rng(0).random((8, 8, 8, 1)), n_segments=8)
    assert labels.shape == (8, 8, 8) and labels.min() == 0


def test_labels_are_numbered_without_gaps():
    assert numbered(np.array([7, 3, 3, 12])).tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize("segmenter", [slic, quickshift])
def test_without_scikit_image_the_message_names_the_extra_and_the_grid(segmenter, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(InputError, match=r"install jaxplain\[scikit-image\], or cut a regular grid"):
        segmenter(halves())


@pytest.mark.parametrize("image", [np.ones((4, 4)), np.full((4, 4, 1), np.nan)])
def test_other_axes_and_pixels_that_are_not_finite_are_refused(image):
    with pytest.raises(InputError, match="quickshift: an image of shape"):
        quickshift(image)
