"""Curves, areas and their intervals against a naive loop over orders, steps, labels and resamples."""

from contextlib import nullcontext

import numpy as np
import pytest

from jaxplain.aggregate import curves
from jaxplain.aggregate.auc import auc
from jaxplain.aggregate.bootstrap import resample_counts
from jaxplain.aggregate.peppr import fraction_for
from jaxplain.aggregate.steps import Steps

N, LABELS, RESAMPLES = 60, 3, 25
STEPS = Steps((0.0, 0.05, 0.06, 0.3, 0.6, 1.0), 20)  # 0.05 and 0.06 are one pixel both


def setup(one_label, missing=False):
    rng = np.random.default_rng(0)
    number = rng.choice(LABELS, N, p=(0.6, 0.3, 0.1))
    truth = np.eye(LABELS, dtype=bool)[number] if one_label else rng.random((N, LABELS)) < (0.6, 0.3, 0.1)
    if missing:
        truth[:, 2] = False
    swept = (rng.normal(size=(1, 2, 3, LABELS, N)) + truth.T).astype(np.float32).round(1)
    ends = (rng.normal(size=(2, N, LABELS)) + [[[2.0]], [[0.0]]] * truth).astype(np.float32)
    weights = curves.with_ones(resample_counts(N, RESAMPLES, seed=0))
    scored = curves.Scored(truth, STEPS, weights, one_label, (0, 1, 2), level=0.9)
    return scored, swept, ends


def naive(scored, swept, ends, rows):
    """Curves (modes, fractions, labels + 1) of AUC and accuracy on these rows, by the book."""
    found = {"auc": np.empty((2, 6, LABELS + 1)), "accuracy": np.empty((2, 6, LABELS + 1))}
    for mode in range(2):
        masks = [ends[mode], *swept[0, mode].transpose(0, 2, 1)[[0, 0, 1, 2]], ends[1 - mode]]
        for step, scores in enumerate(masks):
            scores, truth = scores[rows], scored.truth[rows]
            for label in range(LABELS):
                found["auc"][mode, step, label] = auc(scores[:, label], truth[:, label])
                if scored.one_label:
                    mine = truth[:, label]
                    hit = (scores[mine].argmax(axis=1) == label).mean() if mine.any() else np.nan
                else:
                    hit = ((scores[:, label] > 0) == truth[:, label]).mean()
                found["accuracy"][mode, step, label] = hit
    for values in found.values():
        counted = [label for label in scored.macro if scored.truth[:, label].any()]
        values[..., -1] = values[..., counted].mean(axis=-1)
    return found


@pytest.mark.parametrize("one_label", [True, False])
@pytest.mark.parametrize("missing", [True, False])
def test_curves_areas_and_intervals_equal_a_naive_loop(one_label, missing):
    scored, swept, ends = setup(one_label, missing)
    got = curves.measure(scored, lambda order, mode, label: swept[order, mode, :, label], 0, curves.ends(scored, ends))
    plain = naive(scored, swept, ends, np.arange(N))
    drawn = [naive(scored, swept, ends, np.repeat(np.arange(N), count)) for count in scored.weights.T[1:]]
    for name, measured in got.items():
        np.testing.assert_allclose(measured.curve.value, plain[name], rtol=1e-12)
        areas = np.stack([np.trapezoid(run[name], STEPS.fractions, axis=1) for run in drawn])
        with (
            pytest.warns(RuntimeWarning, match="All-NaN") if missing and (name == "auc" or one_label) else nullcontext()
        ):
            expected = np.nanquantile(areas, (0.05, 0.95), axis=0)
            gaps = np.nanquantile(areas[:, 1] - areas[:, 0], (0.05, 0.95), axis=0)
        np.testing.assert_allclose([measured.area.low, measured.area.high], expected, rtol=1e-12)
        np.testing.assert_allclose([measured.gap.low, measured.gap.high], gaps, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(measured.gap.value, measured.area.value[1] - measured.area.value[0])
        wanted = [fraction_for(curve, STEPS.fractions) for curve in measured.curve.value[1].T]
        np.testing.assert_array_equal(measured.fraction_for_95, wanted)


def test_auc_intervals_are_exactly_those_of_the_same_resamples():
    scored, swept, ends = setup(one_label=False)
    got = curves.measure(scored, lambda order, mode, label: swept[order, mode, :, label], 0, curves.ends(scored, ends))[
        "auc"
    ]
    rows = [np.repeat(np.arange(N), count) for count in scored.weights.T[1:]]
    drawn = np.array([auc(swept[0, 1, 1, 0][r], scored.truth[r, 0]) for r in rows])
    low, high = np.quantile(drawn, [(1 - 0.9) / 2, (1 + 0.9) / 2])
    assert got.curve.low[1, 3, 0] == low and got.curve.high[1, 3, 0] == high


def test_a_label_without_images_is_nan_with_a_reason_and_out_of_macro():
    scored, swept, ends = setup(one_label=True, missing=True)
    got = curves.measure(scored, lambda order, mode, label: swept[order, mode, :, label], 0, curves.ends(scored, ends))[
        "auc"
    ]
    assert scored.reasons() == {2: f"no positive among {N} images"}
    assert np.isnan(got.curve.value[..., 2]).all() and np.isnan(got.fraction_for_95[2])
    np.testing.assert_allclose(got.curve.value[..., 3], got.curve.value[..., :2].mean(axis=-1))
    assert np.isnan(curves.nowhere(scored).gap.value).all()


def test_no_resamples_give_values_without_intervals():
    scored, swept, ends = setup(one_label=True)
    few = curves.Scored(scored.truth, STEPS, scored.weights[:, :1], True, (0, 1))
    got = curves.measure(few, lambda order, mode, label: swept[order, mode, :, label], 0, curves.ends(few, ends))["auc"]
    assert np.isfinite(got.gap.value).all() and np.isnan(got.gap.low).all()
