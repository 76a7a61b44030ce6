"""Occlusion against a NumPy loop: n-D windows that overlap and are cut at the edge, any baseline."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.core.baselines import Blur, ChannelMean, Constant, Noise
from jaxplain.core.imputation import NoisyLinear, fill_of
from jaxplain.methods.occlusion import occlusion
from jaxplain.testing import tol

KEY = jax.random.key(0)
BASELINES = [Constant(0.5), ChannelMean(), Blur(1.0), Noise(0.2), NoisyLinear(0.1)]


def curved(x):
    return jnp.stack([jnp.sum(x) ** 2 / 10, jnp.sum(jnp.sin(x) * jnp.cumsum(x, axis=0))])


def by_loop(x, fill, window, stride):
    """Average the drops of all windows over each pixel; windows start where the stride says and are cut at the edge."""
    space = x.shape[: len(window)]
    starts = [
        range(0, max(size - width, 0) + step, step) for size, width, step in zip(space, window, stride, strict=True)
    ]
    summed, covered = np.zeros((2, *x.shape)), np.zeros(x.shape)
    for corner in itertools.product(*starts):
        hidden = np.zeros(x.shape, bool)
        hidden[tuple(slice(first, first + width) for first, width in zip(corner, window, strict=True))] = True
        shown = np.where(hidden, np.asarray(fill(jnp.asarray(~hidden))), x)
        drop = np.asarray(curved(jnp.asarray(x)) - curved(jnp.asarray(shown)))
        summed += drop.reshape(2, *(1,) * x.ndim) * hidden
        covered += hidden
    return summed / covered


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: type(baseline).__name__)
def test_the_map_is_a_numpy_loops_for_any_baseline(x64, baseline):
    x = np.random.default_rng(0).normal(size=(7, 6, 2))
    given = baseline(jnp.asarray(x), KEY)
    run = partial(occlusion, curved, window=(3, 2), stride=(2, 1), chunk=4)
    got = jax.jit(lambda x, given: run(x, baseline=given))(jnp.asarray(x), given)
    limits = tol(np.float64, terms=x.size, scale=10.0) if baseline is not BASELINES[-1] else {"rtol": 0, "atol": 1e-8}
    np.testing.assert_allclose(got, by_loop(x, fill_of(given, jnp.asarray(x)), (3, 2), (2, 1)), **limits)


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [((9, 1), (4,), (3,)), ((4, 5, 3, 1), (2, 3, 2), (2, 2, 1)), ((5, 4, 3), (2, 2, 1), (1, 2, 1))],
)
def test_windows_have_any_number_of_axes(x64, shape, window, stride):
    x = np.random.default_rng(1).normal(size=shape)
    got = jax.jit(partial(occlusion, curved, baseline=0.0, window=window, stride=stride))(jnp.asarray(x))
    want = by_loop(x, lambda kept: np.zeros(shape), window, stride)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=x.size, scale=10.0))
