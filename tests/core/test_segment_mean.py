"""The baseline that hides a segment behind its mean color."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain.core.segment_mean import SegmentMean

LABELS = np.array([[0, 2, 2], [1, 1, 2]])


@pytest.mark.parametrize("channels", [False, True])
def test_every_pixel_has_the_mean_of_its_segment(channels):
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.stack([LABELS, LABELS, 2 - LABELS, LABELS], axis=-1) if channels else LABELS
    got, want = np.asarray(SegmentMean.of(labels)(jnp.asarray(x), None)), np.empty_like(x)
    whole = labels if channels else np.broadcast_to(LABELS[..., None], x.shape)
    for segment in range(3):
        for channel in range(4):
            inside = whole == segment if channels else (whole == segment) & (np.arange(4) == channel)
            want[inside] = x[inside].mean()
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_gaps_and_other_shapes_are_refused():
    with pytest.raises(jaxplain.InputError, match=r"SegmentMean: segments .* without gaps"):
        SegmentMean.of(LABELS + 1)
    with pytest.raises(jaxplain.InputError, match="SegmentMean: segments of shape"):
        SegmentMean.of(LABELS)(jnp.ones((3, 3, 1)), None)
