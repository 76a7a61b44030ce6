"""The generated aligned set: its law, its truth, and images that do not depend on how many there are."""

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.synthetic import Artefact, aligned


def test_shapes_dtypes_and_the_planted_discs():
    made = aligned(50, seed=0)
    assert made.images.shape == (50, 24, 24, 1) and made.images.dtype == np.float32
    assert made.labels.shape == (50, 3) and made.labels.dtype == np.uint8
    assert made.masks.sum(axis=(1, 2)).tolist() == [13, 13, 13]
    assert made.masks[0, 6, 6] and made.masks[1, 12, 19] and not made.masks[2, 16, 5]
    assert made.names == ("disc 0", "disc 1", "disc 2") and not made.artefact.any()


def test_prevalence_signal_and_background_follow_their_law():
    made = aligned(6000, seed=1)
    # Law: binomial and normal; five standard errors are exceeded with probability below 1e-6 each.
    error = 5 * np.sqrt(np.array([0.3, 0.1, 0.03]) * np.array([0.7, 0.9, 0.97]) / 6000)
    assert (np.abs(made.labels.mean(axis=0) - (0.3, 0.1, 0.03)) < error).all()
    outside = made.images[..., 0][:, ~made.masks.any(axis=0)]
    assert abs(outside.std() - 1) < 0.01 and abs(outside.mean()) < 0.01
    for label, mask in enumerate(made.masks):
        inside = made.images[..., 0][:, mask].mean(axis=1)
        on = made.labels[:, label] == 1
        # The mean over a disc of the correlated background has standard deviation 0.60.
        error = 5 * 0.65 * np.sqrt(1 / on.sum() + 1 / (~on).sum())
        assert abs(inside[on].mean() - inside[~on].mean() - 0.55) < error


@pytest.mark.parametrize(("background", "expected"), [("white", 0.0), ("correlated", 2 / 3)])
def test_neighbors_correlate_as_declared(background, expected):
    images = aligned(1024, seed=0, background=background, strength=0.0).images[..., 0]
    for axis in (1, 2):
        assert np.mean(images * np.roll(images, 1, axis)) == pytest.approx(expected, abs=0.01)


def test_an_image_does_not_depend_on_how_many_are_drawn():
    few, many = aligned(30, seed=3), aligned(1100, seed=3)
    np.testing.assert_array_equal(few.images, many.images[:30])
    np.testing.assert_array_equal(few.labels, many.labels[:30])
    assert (aligned(30, seed=4).images != few.images).any()


def test_an_artefact_comes_with_its_label():
    plain = aligned(1000, seed=0)
    marked = aligned(1000, seed=0, artefact=Artefact(label=1, corner=(22, 20), strength=3.0))
    np.testing.assert_array_equal(marked.labels, plain.labels)
    difference = (marked.images - plain.images)[..., 0]
    assert marked.artefact.sum() == 4 and not difference[:, ~marked.artefact].any()
    np.testing.assert_allclose(difference[:, 23, 21], 3.0 * plain.labels[:, 1], atol=1e-5)
    loose = aligned(1000, seed=0, artefact=Artefact(label=1, agreement=0.8))
    shown = (loose.images - plain.images)[:, 0, 0, 0] > 0.5
    assert np.mean(shown == plain.labels[:, 1]) == pytest.approx(0.8, abs=0.065)


def test_outliers_carry_the_rarest_label():
    made, plain = aligned(500, seed=0, n_outliers=2), aligned(500, seed=0)
    assert len(made.outliers) == 2 and made.labels[made.outliers, 2].all()
    changed = (made.images != plain.images).any(axis=(1, 2, 3))
    assert np.flatnonzero(changed).tolist() == made.outliers.tolist()
    np.testing.assert_allclose(made.images[made.outliers] - plain.images[made.outliers], 200.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"background": "wite"}, "white"),
        ({"prevalence": (0.3,)}, "one of each"),
        ({"prevalence": (0.3, 0.1, 1.3)}, "between 0 and 1"),
        ({"centers": ((1, 6), (12, 17), (18, 7))}, "leaves the image"),
        ({"artefact": Artefact(label=3)}, "names label 3"),
        ({"artefact": Artefact(label=0, corner=(23, 0))}, "leaves the image"),
    ],
)
def test_bad_settings_are_refused(knobs, message):
    with pytest.raises(InputError, match=message):
        aligned(10, seed=0, **knobs)
