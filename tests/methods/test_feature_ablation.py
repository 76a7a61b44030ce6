"""Feature ablation against a NumPy loop, occlusion, and bad segment maps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain._errors import InputError
from jaxplain.core.imputation import NoisyLinear
from jaxplain.core.segments import grid_segments
from jaxplain.methods.feature_ablation import feature_ablation
from jaxplain.methods.occlusion import occlusion
from jaxplain.testing import tol

RNG = np.random.default_rng(0)
X, B = RNG.normal(size=(2, 6, 4, 2))


def curved(x):
    return jnp.stack([jnp.sum(x) ** 2, jnp.sum(jnp.sin(x) * jnp.cumsum(x, axis=0)), jnp.max(x)])


@pytest.mark.parametrize("with_channels", [False, True])
def test_the_map_is_a_numpy_loops(x64, with_channels):
    shape = X.shape if with_channels else X.shape[:-1]
    segments = RNG.permutation(np.arange(np.prod(shape)) % 5).reshape(shape)
    run = partial(feature_ablation, curved, segments=segments, baseline=jnp.asarray(B), chunk=2)
    want = np.zeros((3, *X.shape))
    for number in range(5):
        hidden = np.broadcast_to((segments == number).reshape(*shape, *(1,) * (3 - len(shape))), X.shape)
        drop = np.asarray(curved(jnp.asarray(X)) - curved(jnp.asarray(np.where(hidden, B, X))))
        want += drop[:, None, None, None] * hidden
    np.testing.assert_allclose(jax.jit(run)(jnp.asarray(X)), want, **tol(np.float64, terms=X.size, scale=10.0))


@pytest.mark.parametrize("fill", [False, True])
def test_cells_of_a_grid_are_windows_without_overlap(x64, fill):
    x = jnp.asarray(X)
    baseline = NoisyLinear(0.1)(x, jax.random.key(0)) if fill else 0.0
    got = feature_ablation(curved, x, segments=grid_segments((6, 4), (3, 2)), baseline=baseline)
    want = occlusion(curved, x, baseline=baseline, window=(2, 2), stride=(2, 2))
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        (np.arange(24).reshape(6, 4) * 2, r"no pixel of the numbers \[1, 3"),
        (np.arange(24).reshape(6, 4) - 1, "negative numbers"),
        (np.zeros((4, 6), int), r"segments of shape \(4, 6\) do not fit an example of shape \(6, 4, 2\)"),
        (np.zeros((6, 4)), "must be integers"),
    ],
)
def test_a_segment_map_that_does_not_fit_is_refused(segments, words):
    with pytest.raises(InputError, match=f"feature_ablation: .*{words}"):
        feature_ablation(curved, jnp.asarray(X, jnp.float32), segments=segments, baseline=0.0)
