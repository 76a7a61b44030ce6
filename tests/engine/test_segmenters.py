"""Segments of each image's own: from an array or cut on the host, whatever the batches and the rounds."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError
from jaxplain.core.regions import Segmentations
from jaxplain.core.segmenters import Segmenter
from jaxplain.engine.job import Explanation
from jaxplain.engine.rounds import Stopping
from jaxplain.engine.run import run
from jaxplain.testing.networks import images
from jaxplain.testing.tolerance import tol
from tests.engine.places import job, place, source

# The budget is small, so that images stop in different rounds, and some do not meet the tolerance.
pytestmark = pytest.mark.filterwarnings("ignore:run. .* stay above")
N = 11
BASELINE = {"baseline": 0.0}
WEIGHTS = np.random.default_rng(0).normal(size=(images(1).size, 3)).astype(np.float32)


def _curved(weights, batch):
    return jnp.tanh(batch.reshape(len(batch), -1) @ weights)


MODEL = jaxplain.from_function(_curved, WEIGHTS)


def bands(image):
    """One to three bands, as the pixels say."""
    n = 1 + int(1000 * abs(float(image.sum()))) % 3
    return np.broadcast_to((np.arange(len(image)) * n // len(image))[:, None], image.shape[:-1])


def explanations(segments):
    known, stopping = {**BASELINE, "segments": segments}, Stopping(0.05, 64)
    return (
        Explanation("ablation", "feature_ablation", known),
        Explanation("shap", "shapley_sampling", {**known, "n_samples": 4}, stopping=stopping),
    )


def stored(segments, bad=(), **request):
    """Maps and figures of a run that is held in one shard."""
    at, storage = place()
    run(job(explanations(segments), model=MODEL, rows_per_shard=12, store="float32", **request), source(N, bad), at)
    store = jaxplain.open(storage.url)
    maps = {name: store.maps(name)[:] for name in ("ablation", "shap")}
    return {**maps, **{name: store.rows(name) for name in ("stderr/shap", "evaluations/shap")}}


def test_an_array_a_segmenter_and_other_batches_give_the_same_maps():
    maps = np.stack([bands(image) for image in images(N)])
    assert [len(np.unique(one)) for one in maps] != [3] * N
    want, got = stored(maps), stored(Segmenter(bands, 3), batch=3)
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, **tol(np.float32, terms=64), err_msg=name)
    assert len(np.unique(want["evaluations/shap"])) > 1


def test_explain_takes_a_segmenter():
    maps = np.stack([bands(image) for image in images(N)])
    both = [
        jaxplain.explain(
            MODEL, images(N), jaxplain.Predicted(), method="feature_ablation", **BASELINE, segments=given, batch=4
        )
        for given in (maps, Segmenter(bands, 3))
    ]
    np.testing.assert_array_equal(*both)


def test_an_image_with_pixels_that_are_not_finite_is_not_cut():
    def cut(image):
        assert np.isfinite(image).all()
        return bands(image)

    found = stored(Segmenter(cut, 3), bad=[2])["ablation"]
    np.testing.assert_array_equal(np.isnan(found).any(axis=(1, 2, 3)), np.arange(N) == 2)


def test_too_many_segments_and_maps_that_do_not_fit_name_the_image():
    pixels, numbers = images(4), np.arange(4) + 10
    with pytest.raises(InputError, match=r"here of image 1\d: it is cut into \d segments, more than the 1 that were"):
        Segmenter(bands, 1).of("here", numbers, pixels)
    with pytest.raises(InputError, match=r"here of image 10: the segmenter gave shape \(2,\) instead of"):
        Segmenter(lambda image: np.zeros(2, int), 1).of("here", numbers, pixels)
    with pytest.raises(InputError, match=r"here of image 10: segments must be numbered 0 to n - 1 without gaps"):
        Segmenter(lambda image: bands(image) + 1, 4).of("here", numbers, pixels)


def test_stacks_of_maps_are_cut_too_and_do_not_stand_for_one_map():
    stack = Segmenter(lambda image: np.stack([bands(image)] * 2), 3, maps=2)
    found = stack.of("here", np.arange(4), images(4))
    assert isinstance(found, Segmentations) and found.labels.shape == (4, 2, *images(4).shape[1:-1])
    with pytest.raises(InputError, match="segments cannot be a Segmenter with maps = 2"):
        stored(stack)
