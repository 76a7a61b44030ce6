"""Toy colors: both rules hold in every image of class 0 and in none of class 1."""

import numpy as np
import pytest

import jaxplain
from jaxplain.synthetic import toy_colors
from jaxplain.synthetic.toy_colors import COLORS


def test_either_rule_alone_tells_the_classes_apart():
    data = toy_colors(500, seed=0)
    codes = np.argmax((data.images[..., None, :] == COLORS).all(axis=-1), axis=-1)
    np.testing.assert_array_equal(COLORS[codes], data.images)
    same = [len(set(image[data.rule1])) == 1 for image in codes]
    differ = [len(set(image[data.rule2])) == 3 for image in codes]
    np.testing.assert_array_equal(same, data.labels == 0)
    np.testing.assert_array_equal(differ, data.labels == 0)


def test_colors_are_uniform_within_a_rule():
    """Of the first corner of 20,000 images each color has 1/4: |count - n/4| > 6 sd has probability below 1e-8."""
    n = 20_000
    first = toy_colors(n, seed=1).images[:, 0, 0]
    counts = [(first == color).all(axis=-1).sum() for color in COLORS]
    assert np.abs(np.array(counts) - n / 4).max() < 6 * np.sqrt(n * 3 / 16)


def test_a_seed_fixes_the_set_and_others_differ():
    one, again, other = toy_colors(20, seed=3), toy_colors(20, seed=3), toy_colors(20, seed=4)
    np.testing.assert_array_equal(one.images, again.images)
    assert (one.images != other.images).any()
    with pytest.raises(jaxplain.InputError, match="at least 1"):
        toy_colors(0, seed=0)
