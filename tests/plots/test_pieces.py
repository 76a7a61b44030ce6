"""The figures' pieces: color ranges, overlays, grids, curves, tables and the words on them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxplain._errors import InputError
from jaxplain.plots import (
    DARK,
    Area,
    ColorRange,
    Curve,
    Estimate,
    area_table,
    color_range,
    curve_figure,
    displayed,
    map_grid,
    overlay,
    paint,
    png_bytes,
    svg_bytes,
)
from jaxplain.plots.encoding import address, picture_bytes
from jaxplain.plots.overlay import resized
from jaxplain.plots.wording import drawable, escaped, number, readable, slug

EYE = np.eye(4)


def texts(figure) -> set[str]:
    """All the words that a figure shows."""
    return {text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))}


def test_signed_range_is_symmetric_and_positive_range_starts_at_zero():
    assert color_range(EYE, -3 * EYE) == ColorRange(-3.0, 3.0)
    assert color_range(EYE, 2 * EYE) == ColorRange(0.0, 2.0)
    assert color_range(EYE, signed=True) == ColorRange(-1.0, 1.0)


def test_range_ignores_what_is_not_finite_and_survives_zeros():
    assert color_range(np.array([[np.nan, 2.0, np.inf]])) == ColorRange(0.0, 2.0)
    assert color_range(np.zeros((2, 2))) == ColorRange(0.0, 1.0)
    assert color_range(np.full((2, 2), np.nan)) == ColorRange(0.0, 1.0)


def test_negative_values_are_refused_where_none_are_expected():
    with pytest.raises(InputError, match="signed=True"):
        color_range(-EYE, signed=False)


def test_zero_is_neutral_in_the_diverging_colors_and_opposite_values_are_opposite():
    zero, low, high = paint([[0.0, -1.0, 1.0]], ColorRange(-1.0, 1.0))[0]
    assert np.ptp(zero) < 0.02
    assert low[2] > low[0] + 0.2  # blue
    assert high[0] > high[2] + 0.2  # red


def test_positive_colors_grow_lighter_all_along():
    shades = paint(np.linspace(0, 1, 50)[None], ColorRange(0.0, 1.0))[0] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(shades) > 0).all()


def test_a_value_that_is_missing_is_gray():
    painted = paint([[np.nan, 1.0]], ColorRange(0.0, 1.0))
    assert painted[0, 0] == pytest.approx(0.55)


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1), (6, 8, 2), (6, 8, 3), (6, 8, 5)])
@pytest.mark.parametrize("cells", [(6, 8), (3, 2), (7, 7), (12, 16)])
def test_overlay_fits_the_image_for_any_channels_and_resolution(shape, cells):
    rng = np.random.default_rng(0)
    picture = overlay(rng.random(shape), rng.normal(size=cells))
    assert picture.shape == (6, 8, 3)
    assert 0 <= picture.min() <= picture.max() <= 1


def test_overlay_leaves_the_image_gray_where_the_map_is_zero_or_missing():
    rng = np.random.default_rng(0)
    values = np.zeros((5, 5))
    values[0, 0], values[4, 4] = 1.0, np.nan
    picture = overlay(rng.random((5, 5, 3)), values)
    spread = np.ptp(picture, axis=-1)
    assert spread[0, 0] > 0.2
    spread[0, 0] = 0
    np.testing.assert_allclose(spread, 0, atol=1e-12)


def test_overlay_refuses_a_map_with_channels():
    with pytest.raises(InputError, match="pool the channels"):
        overlay(np.zeros((4, 4)), np.zeros((4, 4, 3)))


def test_displayed_stretches_between_the_given_values_and_keeps_missing_pixels_dark():
    np.testing.assert_allclose(displayed([[0.0, 5.0, 10.0]]), [[0, 0.5, 1]])
    np.testing.assert_allclose(displayed([[0.0, 5.0, 20.0]], 0, 10), [[0, 0.5, 1]])
    np.testing.assert_allclose(displayed([[np.nan, 5.0, 10.0]]), [[0, 0, 1]])
    np.testing.assert_allclose(displayed(np.full((2, 2), 3.0)), 0)


def test_a_coarse_map_keeps_its_cells_and_a_fine_one_its_mean():
    cells = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(resized(cells, (4, 4)), np.kron(cells, np.ones((2, 2))))
    fine = np.random.default_rng(0).random((8, 8))
    np.testing.assert_allclose(resized(fine, (2, 2)).mean(), fine.mean(), rtol=1e-6)


def test_grid_shows_every_caption_and_says_where_there_is_no_image():
    captions = [["Bag", "<script>"], ["$x^2$", ""]]
    figure = map_grid([[EYE, EYE * np.nan], [-EYE, None]], captions=captions, title="a $b$", theme=DARK)
    shown = texts(figure)
    assert {"Bag", "<script>", "$x^2$", "a $b$", "no images"} <= shown
    assert png_bytes(figure, dpi=40).startswith(b"\x89PNG")


def test_grid_has_one_color_bar_for_all_or_one_per_row_or_none():
    rows = [[EYE, -EYE], [EYE, EYE[:2]]]
    assert [len(map_grid(rows, share=share).axes) for share in ("all", "row", "each")] == [5, 6, 4]


@pytest.mark.parametrize("shape", [(2, 200), (200, 2), (7, 7)])
def test_grid_keeps_its_tiles_and_words_apart(shape):
    figure = map_grid([[np.ones(shape)] * 3] * 2, captions=[["a very long name of a class " * 3] * 3] * 2, title="t")
    figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_long_names_break_after_their_marks_and_end_in_dots():
    shown = texts(map_grid([[EYE, EYE]], captions=[["integrated_gradients_of_all", "x" * 90]]))
    assert "integrated_\ngradients_of_all" in shown
    assert any(text.endswith("…") and "\n" in text for text in shown)


def test_grid_refuses_nothing_and_captions_that_do_not_fit():
    with pytest.raises(InputError, match="no map"):
        map_grid([])
    with pytest.raises(InputError, match="captions"):
        map_grid([[EYE]], captions=[["a"], ["b"]])


def test_curves_carry_the_values_their_bands_and_all_names():
    steps = np.linspace(0, 1, 5)
    band = np.stack([steps - 0.1, steps + 0.1])
    curves = [
        Curve("gradient $a$", 1 - steps, steps, restore_interval=band),
        Curve("random", steps * 0.5, steps * 0.5, control=True),
    ]
    figure = curve_figure(steps, curves, metric="ROC-AUC", title="macro")
    erase, restore = figure.axes
    np.testing.assert_allclose(erase.get_lines()[0].get_ydata(), 1 - steps)
    np.testing.assert_allclose(restore.get_lines()[1].get_ydata(), steps * 0.5)
    assert len(restore.collections) == 1 and not erase.collections
    assert erase.get_ylim() == restore.get_ylim()
    assert restore.get_ylim()[0] < -0.1 and restore.get_ylim()[1] > 1.1
    assert {"gradient $a$", "random", "macro", "ROC-AUC"} <= texts(figure)


def test_curves_of_nan_say_that_they_are_not_defined():
    steps = np.linspace(0, 1, 3)
    figure = curve_figure(steps, [Curve("m", steps * np.nan, steps * np.nan)], metric="ROC-AUC")
    assert "not defined" in texts(figure)


def test_curves_of_another_length_are_refused():
    with pytest.raises(InputError, match="one value per fraction"):
        curve_figure(np.linspace(0, 1, 3), [Curve("m", np.zeros(4), np.zeros(3))], metric="x")


def test_vector_drawing_is_reproducible_and_links_to_nothing():
    def drawn() -> bytes:
        steps = np.linspace(0, 1, 3)
        return svg_bytes(curve_figure(steps, [Curve("<b> & c", steps, steps)], metric="m"))

    drawing = drawn()
    assert drawing == drawn()
    assert b"&lt;b&gt; &amp; c" in drawing
    assert not re.search(rb"(href|src)=\"(?!#)", drawing)


def test_areas_put_methods_before_controls_and_mark_what_is_not_defined():
    half, none = Estimate(0.5, 0.4, 0.6), Estimate(float("nan"))
    table = area_table(
        [Area("random", half, half, Estimate(-0.02), none, control=True), Area("gradient", half, half, none, half)]
    )
    assert [row[0] for row in table] == ["order of the pixels", "gradient", "random"]
    assert table[1][3] == "\N{EN DASH}"
    assert table[2][3] == "\N{MINUS SIGN}0.020"
    assert table[1][4] == "50.0 % [40.0, 60.0]"


def test_small_pictures_and_maps_are_exact():
    from io import BytesIO

    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 30, 3)) / 255
    with Image.open(BytesIO(picture_bytes(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.round(pixels * 255))
    assert address(picture_bytes(rng.random((300, 300, 3)), longest=200)).startswith("data:image/jpeg;base64,")
    painted = paint(rng.random((200, 200)), ColorRange(0, 1))
    with Image.open(BytesIO(picture_bytes(painted, lossless=True))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), np.round(painted * 255))


@given(st.text(st.characters(), max_size=60))
def test_no_text_breaks_a_line_a_page_or_a_file_name(text):
    shown = readable(text)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert not set("<>\"'") & set(escaped(text))
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", slug(text))
    drawable(text)


def test_names_are_shown_as_they_are_and_what_is_hidden_becomes_visible():
    assert readable("img[/x].jpg") == "img[/x].jpg"
    assert readable("a\u202eb\udcff\x1b") == "a\\u202eb\\udcff\\x1b"
    assert len(readable("x" * 500, 40)) == 40
    assert slug("../../etc/passwd") == "etc-passwd"
    assert number(-0.0001) == "0.000"


def test_figures_leave_the_global_settings_alone(tmp_path: Path):
    import matplotlib
    from matplotlib import _pylab_helpers

    before = dict(matplotlib.rcParams)
    svg_bytes(curve_figure([0, 1], [Curve("m", EYE[0, :2], EYE[1, :2])], metric="m"))
    png_bytes(map_grid([[EYE]]), dpi=30)
    assert dict(matplotlib.rcParams) == before
    assert not _pylab_helpers.Gcf.figs
