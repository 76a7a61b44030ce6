"""Steps, controls, areas and the fraction that suffices."""

import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.aggregate.peppr import area, controls, fraction_for, order_of, random_ranks
from jaxplain.aggregate.steps import FRACTIONS, Steps, step_counts


def test_steps_round_and_must_rise_from_zero_to_one():
    assert step_counts(FRACTIONS, 576).tolist() == [0, 6, 12, 29, 58, 115, 173, 288, 403, 461, 518, 547, 564, 570, 576]
    assert np.allclose(np.add(FRACTIONS, FRACTIONS[::-1]), 1)  # random orders are unbiased
    for bad in [(0.0, 0.5), (0.1, 1.0), (0.0, 0.5, 0.5, 1.0), (0.0,)]:
        with pytest.raises(InputError, match="rise from 0 to 1"):
            step_counts(bad, 10)


def test_ends_are_not_swept_and_equal_counts_share_a_mask():
    steps = Steps((0.0, 0.01, 0.1, 0.12, 0.5, 0.99, 1.0), 25)
    assert steps.counts.tolist() == [0, 0, 2, 3, 12, 25, 25] and steps.inner.tolist() == [2, 3, 12]
    curve = steps.expand(np.array(9.0), np.array([1.0, 2.0, 3.0]), np.array(7.0))
    assert curve.tolist() == [9.0, 9.0, 1.0, 2.0, 3.0, 7.0, 7.0]
    assert Steps((0.0, 1.0), 4).expand(np.zeros(2), np.zeros((0, 2)), np.ones(2)).tolist() == [[0, 0], [1, 1]]


def test_controls_are_permutations_each_with_a_seed_of_its_own():
    mean_image = np.zeros((5, 7, 2))
    mean_image[3, 2] = (3.0, -4.0)
    made = controls((5, 7), seed=0, mean_image=mean_image)
    assert [order.name for order in made[-3:]] == ["random/9", "center", "energy"]
    for order in made:
        assert order.kind == "control" and sorted(order.ranks.ravel()) == list(range(35))
    assert made[-2].ranks[2, 3] == 0 and made[-2].ranks.ravel()[-1] == 34
    assert made[-1].ranks[3, 2] == 0
    fewer = controls((5, 7), seed=0, n_random=2)
    np.testing.assert_array_equal(fewer[1].ranks, made[1].ranks)
    assert (made[0].ranks != made[1].ranks).any() and (random_ranks((5, 7), seed=1, number=0) != made[0].ranks).any()


def test_a_map_without_images_is_an_order_that_says_so():
    order = order_of("gradient/label/2", np.full((3, 3), np.nan), group="label/2")
    assert order.ranks is None and "label/2" in order.reason


def test_area_is_the_trapezoid():
    f = np.array([0.0, 0.1, 0.5, 1.0])
    assert area(2 * f + 1, f) == pytest.approx(2.0)
    np.testing.assert_allclose(area(np.stack([f, 0 * f + 3], axis=1), f), [0.5, 3.0])


def test_fraction_for_interpolates_the_first_crossing():
    f = (0.0, 0.1, 0.2, 1.0)
    assert fraction_for(np.array([0.5, 0.5, 0.9, 0.9]), f) == pytest.approx(0.195)
    assert fraction_for(np.array([0.5, 0.95, 0.6, 0.9]), f, 1.0) == pytest.approx(0.1 * 0.4 / 0.45)
    assert fraction_for(np.array([0.5, 0.8, 0.8, 0.8]), f, 0.0) == 0.0
    assert np.isnan(fraction_for(np.array([0.5, 0.9, 0.6, 0.5]), f))
    assert np.isnan(fraction_for(np.array([np.nan] * 4), f))
