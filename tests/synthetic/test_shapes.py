"""Generated shapes: their geometry against other code, their laws, and images that depend on seed and number alone."""

import numpy as np
import pytest
from matplotlib.path import Path
from scipy import ndimage
from scipy.special import ndtr

from jaxplain import InputError
from jaxplain.synthetic import count_shapes, simple_geometric, triangles_and_squares

EIGHT = np.ones((3, 3), int)
"""Pixels that touch at a corner belong together."""


def outline(scene, row, turn=0.0, scale=1.0):
    """The corners of a polygon as (column, row), by the definition."""
    count = scene.corners[row, 0]
    angles = scene.angle[row, 0] + 2 * np.pi * np.arange(count) / count + turn
    radius = scale * scene.radius[row, 0]
    return np.stack(
        [scene.center[row, 0, 1] + radius * np.cos(angles), scene.center[row, 0, 0] - radius * np.sin(angles)], axis=-1
    )


def inside(corners, size):
    """Which pixel centers lie in a polygon, by the crossing rule of matplotlib; NaN marks those on the outline."""
    rows, columns = np.mgrid[:size, :size]
    points, path = np.stack([columns.ravel(), rows.ravel()], axis=-1), Path(np.concatenate([corners, corners[:1]]))
    within, sure = (path.contains_points(points, radius=change) for change in (1e-3, -1e-3))
    return np.where(within == sure, within.astype(float), np.nan).reshape(size, size)


def test_polygons_and_bands_are_those_of_their_corners():
    made = triangles_and_squares(40, seed=0, size=48, offset=0.5)
    for row in range(40):
        whole, small, large = (inside(outline(made.scene, row, scale=scale), 48) for scale in (1, 0.75, 1.25))
        for got, want in ((made.objects[row], whole), (made.edges[row], large - small)):
            known = ~np.isnan(want)
            assert known.mean() > 0.99
            np.testing.assert_array_equal(got[known], want[known] == 1)


def test_corners_are_discs_around_the_corners():
    made = triangles_and_squares(40, seed=1, radius=(0.5, 0.8))
    for row in range(40):
        parts, n_parts = ndimage.label(made.corners[row], EIGHT)
        assert n_parts == made.scene.corners[row, 0]
        found = ndimage.center_of_mass(made.corners[row], parts, range(1, n_parts + 1))
        nearest = [np.abs(np.subtract(outline(made.scene, row)[:, ::-1], place)).max(axis=1).min() for place in found]
        assert max(nearest) < 0.5
    discs = simple_geometric(40, seed=1)
    assert (discs.corners.any(axis=(1, 2)) == (discs.labels == 1)).all()


def test_images_hold_two_gray_values_and_swapping_exchanges_them():
    made = triangles_and_squares(30, seed=2)
    swapped = made.swapped()
    for image, other, objects, light, dark in zip(
        made.images[..., 0],
        swapped.images[..., 0],
        made.objects,
        made.scene.foreground,
        made.scene.background,
        strict=True,
    ):
        np.testing.assert_allclose(image, np.where(objects, light, dark), rtol=0, atol=1e-6)
        np.testing.assert_allclose(other, np.where(objects, dark, light), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(swapped.objects, made.objects)
    assert made.images.dtype == np.float32 and made.images.min() >= 0 and made.images.max() <= 1


def test_a_soft_outline_is_the_normal_distribution_across_a_disc():
    made = simple_geometric(20, seed=3, radius=0.5, contrast=1.0, blur=0.8)
    row = int(np.flatnonzero(made.labels == 0)[0])
    (down, right), radius = made.scene.center[row, 0], made.scene.radius[row, 0]
    away = np.hypot(np.arange(64)[:, None] - down, np.arange(64) - right)
    want = ndtr((radius - away) / 0.8)
    got = made.images[row, ..., 0]
    np.testing.assert_allclose(got if made.scene.foreground[row] == 1 else 1 - got, want, rtol=0, atol=1e-5)


def test_areas_are_those_of_the_shapes():
    """Counting pixel centers misses by about the square root of the outline's length: five times that is allowed."""
    made = triangles_and_squares(200, seed=4, radius=(0.3, 0.7))
    radius, corners = made.scene.radius[:, 0], made.scene.corners[:, 0]
    area = np.where(corners == 3, 3 * np.sqrt(3) / 4, 2.0) * radius**2
    assert (np.abs(made.objects.sum(axis=(1, 2)) - area) < 5 * np.sqrt(6 * radius)).all()


def test_gray_values_are_uniform_and_labels_a_toss_up():
    """Of 4000 draws: each tenth has 400 with standard deviation 19; six of these are left with probability 1e-8."""
    made = triangles_and_squares(4000, seed=5, size=8)
    for grays in (made.scene.foreground, made.scene.background):
        counts, _ = np.histogram(grays, bins=10, range=(0, 1))
        assert np.abs(counts - 400).max() < 6 * 19
    assert abs(np.corrcoef(made.scene.foreground, made.scene.background)[0, 1]) < 6 / np.sqrt(4000)
    assert abs(made.labels.mean() - 0.5) < 6 * 0.5 / np.sqrt(4000)


def test_axes_are_fixed_bounded_or_listed():
    levels = np.linspace(0.1, 0.9, 25)
    made = triangles_and_squares(25, seed=6, contrast=levels, radius=(0.5, 0.6), angle=0.25)
    np.testing.assert_allclose(made.contrast, levels, rtol=1e-12)
    assert made.radius.min() >= 0.5 and made.radius.max() <= 0.6 and np.ptp(made.radius) > 0
    np.testing.assert_array_equal(made.scene.angle, 0.25)
    high = simple_geometric(500, seed=6, size=8, contrast=(0.6, 0.7)).contrast
    assert 0.6 <= high.min() < 0.61 and 0.69 < high.max() <= 0.7


def test_an_image_depends_on_the_seed_and_its_number_alone():
    for generate in (triangles_and_squares, simple_geometric, count_shapes):
        all_, some, other = (
            generate(12, seed=7, size=32),
            generate(5, seed=7, first=4, size=32),
            generate(12, seed=8, size=32),
        )
        np.testing.assert_array_equal(some.images, all_.images[4:9])
        np.testing.assert_array_equal(some.labels, all_.labels[4:9])
        assert (other.images != all_.images).any()


@pytest.mark.parametrize(("kinds", "mixed"), [(("disc",), False), (("disc", "diamond", "square"), True)])
def test_the_label_is_the_number_of_shapes(kinds, mixed):
    made = count_shapes(300, seed=9, kinds=kinds, mixed=mixed, radius=(0.06, 0.16))
    counted = [ndimage.label(objects, EIGHT)[1] for objects in made.objects]
    np.testing.assert_array_equal(counted, made.labels + 1)
    # Uniform over three: 100 of each with standard deviation 8.2, of which six are left with probability below 1e-8.
    assert np.abs(np.bincount(made.labels, minlength=3) - 100).max() < 6 * 8.2
    assert set(np.unique(made.images)) <= {0.0, 1.0}


def test_an_image_shares_one_kind_unless_they_are_mixed():
    alike, mixed = (count_shapes(60, seed=10, kinds=("disc", "square"), mixed=mixed) for mixed in (False, True))
    assert (np.ptp(alike.scene.corners, axis=1) == 0).all() and len(np.unique(alike.scene.corners)) == 2
    assert (np.ptp(mixed.scene.corners, axis=1) > 0).any()


def test_where_there_is_no_room_the_label_follows_what_is_there():
    """Nine discs of radius 8 do not fit into 32 pixels."""
    made = count_shapes(100, seed=11, size=32, most=9, radius=0.5)
    counted = [ndimage.label(objects, EIGHT)[1] for objects in made.objects]
    np.testing.assert_array_equal(counted, made.labels + 1)
    assert made.labels.max() < 8


@pytest.mark.parametrize(
    ("generate", "knobs", "words"),
    [
        (triangles_and_squares, {"n": 0}, "0 images"),
        (triangles_and_squares, {"radius": 0.0}, "radius from 0 to 0 must rise within 0 to 1, above the first"),
        (triangles_and_squares, {"contrast": (0.5, 0.4)}, "must rise"),
        (simple_geometric, {"contrast": np.ones(3)}, "pass a number, a pair"),
        (simple_geometric, {"blur": -1.0}, "blur = -1.0 must not be negative"),
        (simple_geometric, {"offset": 2.0}, "offset = 2.0"),
        (count_shapes, {"kinds": ("circle",)}, "unknown kind 'circle'"),
        (count_shapes, {"kinds": ()}, "at least one of each"),
        (count_shapes, {"radius": 0.6}, "radius from 0.6"),
    ],
)
def test_bad_settings_are_refused(generate, knobs, words):
    with pytest.raises(InputError, match=words):
        generate(**{"n": 4, "seed": 0, **knobs})
