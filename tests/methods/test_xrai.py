"""XRAI: regions of integrated gradients from black and white."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import Logit, explain
from jaxplain._errors import InputError
from jaxplain.core.felzenszwalb import felzenszwalb_scales
from jaxplain.core.segments import as_segments, grid_segments
from jaxplain.methods import xrai, xrai_with_diagnostics
from jaxplain.testing.networks import SHAPE, images, smooth_network
from jaxplain.testing.tolerance import tol

SCALES = np.stack([grid_segments(SHAPE[:2], cells) for cells in ((1, 2), (3, 2), (6, 5))])


def test_a_linear_model_on_two_regions(x64):
    """The weight is 3 on a left part and 1 beside it: regions in that order, each at its mean."""
    weight = np.ones((4, 4, 1))
    weight[:, :1] = 3.0
    halves = np.stack([grid_segments((4, 4), (1, 2)), grid_segments((4, 4), (1, 4))])
    x = jnp.full((4, 4, 1), 2.0)
    found = xrai(lambda x: jnp.sum(jnp.asarray(weight) * x), x, low=0 * x, high=x, segmentations=halves, n_steps=1)
    np.testing.assert_allclose(found, weight[..., 0], **tol(np.float64, terms=16))


def test_the_map_sums_to_the_change_from_the_mean_of_black_and_white_and_the_gap_says_so(x64):
    def cubes(x):
        return jnp.stack([jnp.sum(x**3), jnp.sum(x**2) ** 2])

    x = jnp.asarray(np.random.default_rng(0).uniform(size=SHAPE))
    known = {"low": 0 * x, "high": 1 + 0 * x, "segmentations": SCALES}
    found, figures = xrai_with_diagnostics(cubes, x, n_steps=2, **known)
    assert found.shape == (2, *SHAPE[:2])
    change = cubes(x) - (cubes(0 * x) + cubes(1 + 0 * x)) / 2
    np.testing.assert_allclose(found.sum((1, 2)), change, **tol(np.float64, terms=x.size, scale=float(x.size**2)))
    np.testing.assert_allclose(figures["gap"], 0, **tol(np.float64, terms=x.size, scale=float(x.size**2)))
    _, coarse = xrai_with_diagnostics(cubes, x, n_steps=1, **known)
    assert (np.abs(coarse["gap"]) > 0.01).all()


def test_channels_may_be_pooled_by_their_largest():
    x = jnp.stack([jnp.ones((2, 2)), 3 * jnp.ones((2, 2))], axis=-1)
    known = {"low": 0 * x, "high": 0 * x, "segmentations": np.zeros((1, 2, 2), int)}
    np.testing.assert_allclose(xrai(jnp.sum, x, **known), 4, **tol(np.float32, terms=32))
    np.testing.assert_allclose(xrai(jnp.sum, x, channels="max", **known), 3, **tol(np.float32, terms=32))


def test_segmentations_of_all_images_and_of_each():
    """One stack shared, the same stack for every image, and stacks that differ, each as alone."""
    model, batch = smooth_network(), images(3)
    known = {"method": "xrai", "low": -3.0, "high": 3.0, "n_steps": 4}
    shared = explain(model, batch, Logit(1), segmentations=SCALES, **known)
    each = np.stack([SCALES, SCALES[::-1], SCALES])
    own = explain(model, batch, Logit(1), segmentations=each, **known)
    np.testing.assert_allclose(own, shared, **tol(np.float32, terms=64, scale=float(np.abs(shared).max())))
    turned = np.stack([SCALES, np.roll(SCALES, 1, axis=1), SCALES])
    own = explain(model, batch, Logit(1), segmentations=turned, batch=2, **known)
    alone = explain(model, batch[1:2], Logit(1), segmentations=np.roll(SCALES, 1, axis=1), **known)
    np.testing.assert_allclose(own[1:2], alone, **tol(np.float32, terms=64, scale=float(np.abs(shared).max())))
    assert not np.allclose(own[1], shared[1])


def test_maps_with_gaps_and_of_another_shape_are_refused():
    x = jnp.ones(SHAPE)
    for wrong, words in ((SCALES * 2, "xrai, segmentation 0: .*without gaps"), (SCALES[0], "xrai: segmentations of")):
        with pytest.raises(InputError, match=words):
            xrai(jnp.sum, x, low=x, high=x, segmentations=wrong)


def test_felzenszwalb_makes_scales_of_an_image_that_keep_to_its_edge():
    pytest.importorskip("skimage")
    image = np.zeros((24, 30, 3))
    image[:, 17:] = 300.0
    found = felzenszwalb_scales(image, scales=(1.0, 50.0), sigma=0.0, min_size=4)
    assert found.shape == (2, 24, 30)
    for one in found:
        assert as_segments("test", one, image.shape).n >= 2
        assert not set(one[:, :17].ravel()) & set(one[:, 17:].ravel())


def test_an_image_of_another_rank_is_refused():
    with pytest.raises(InputError, match=r"must be \(height, width, channels\)"):
        felzenszwalb_scales(np.zeros((4, 4)))


def test_the_program_is_one_for_all_scores_and_ranges():
    traces = []

    @jax.jit
    def explained(x, low):
        traces.append(None)
        return xrai(lambda x: jnp.sum(x**2), x, low=low, high=x, segmentations=SCALES, n_steps=2)

    for value in (0.0, -1.0):
        explained(jnp.ones(SHAPE), jnp.full(SHAPE, value))
    assert len(traces) == 1
