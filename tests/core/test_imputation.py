"""Noisy linear imputation: closed forms by hand, and the linear system solved by SciPy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

import jaxplain
from jaxplain import InputError, Logit
from jaxplain._errors import InputTypeError
from jaxplain.core.imputation import LinearFill, NoisyLinear
from jaxplain.testing import tol

KEY = jax.random.key(0)
# Conjugate gradients stop at a residual of eps^(3/4); the systems here amplify it by less than 100.
SOLVED = 100 * float(np.finfo(np.float64).eps) ** 0.75


def channel_sums(params, x):
    return params * x.sum(axis=(1, 2))


def plain(x):
    return NoisyLinear(0.0)(jnp.asarray(x), KEY)


def by_scipy(x, kept):
    """Solve for the hidden pixels of one channel; neighbors by an axis weigh 1, those by k axes 2^(1 - k)."""
    space, hidden = x.shape, np.argwhere(~kept)
    number = {tuple(place): row for row, place in enumerate(hidden)}
    matrix, right = sparse.lil_matrix((len(hidden), len(hidden))), np.zeros(len(hidden))
    for place, row in number.items():
        for offset in itertools.product((-1, 0, 1), repeat=x.ndim):
            other = tuple(np.add(place, offset))
            if not any(offset) or any(not 0 <= at < size for at, size in zip(other, space, strict=True)):
                continue
            weight = 2.0 ** (1 - np.count_nonzero(offset))
            matrix[row, row] += weight
            if other in number:
                matrix[row, number[other]] -= weight
            else:
                right[row] += weight * x[other]
    found = x.copy()
    found[~kept] = sparse.linalg.spsolve(matrix.tocsr(), right)
    return found


@pytest.mark.parametrize("shape", [(7,), (6, 8), (4, 5, 3)])
def test_hidden_pixels_solve_the_linear_system(x64, shape):
    rng = np.random.default_rng(0)
    x, kept = rng.normal(size=(*shape, 2)), rng.uniform(size=shape) < 0.4
    got = jax.jit(lambda x, kept: plain(x)(kept))(jnp.asarray(x), jnp.asarray(kept)[..., None])
    want = np.stack([by_scipy(x[..., channel], kept) for channel in range(2)], axis=-1)
    np.testing.assert_allclose(got, want, rtol=0, atol=SOLVED)


def test_one_hidden_pixel_has_roads_weights(x64):
    """A sixth of each neighbor by an edge, a twelfth of each by a corner; at a corner of the image, 2/5 and 1/5."""
    x = np.random.default_rng(1).normal(size=(3, 3, 1))
    kept = np.ones((3, 3, 1), bool)
    kept[1, 1] = False
    want = (x[0, 1] + x[1, 0] + x[1, 2] + x[2, 1]) / 6 + (x[0, 0] + x[0, 2] + x[2, 0] + x[2, 2]) / 12
    np.testing.assert_allclose(plain(x)(kept)[1, 1], want, rtol=0, atol=SOLVED)
    corner = np.ones((3, 3, 1), bool)
    corner[0, 0] = False
    want = 2 / 5 * (x[0, 1] + x[1, 0]) + 1 / 5 * x[1, 1]
    np.testing.assert_allclose(plain(x)(corner)[0, 0], want, rtol=0, atol=SOLVED)


def test_a_ramp_is_continued_through_a_hole(x64):
    rows, columns = np.mgrid[:9, :9].astype(float)
    x = (2 * rows - 3 * columns)[..., None]
    kept = np.ones((9, 9, 1), bool)
    kept[2:7, 3:6] = False
    np.testing.assert_allclose(plain(x)(kept), x, rtol=0, atol=100 * SOLVED)


def test_where_nothing_is_kept_the_channel_means_stand():
    x = np.random.default_rng(2).normal(size=(5, 6, 3)).astype(np.float32)
    got = plain(x)(jnp.zeros((5, 6, 1), bool))
    np.testing.assert_allclose(got, np.broadcast_to(x.mean(axis=(0, 1)), x.shape), **tol(np.float32, terms=30))
    np.testing.assert_array_equal(plain(0 * x)(jnp.zeros((5, 6, 1), bool)), 0 * x)


def test_kept_pixels_stay_and_noise_lies_on_hidden_ones_alone():
    x = jnp.asarray(np.random.default_rng(3).normal(size=(6, 6, 2)), jnp.float32)
    kept = jnp.arange(6).reshape(6, 1, 1) < 3
    quiet, noisy = plain(x)(kept), NoisyLinear(0.5)(x, KEY)(kept)
    np.testing.assert_array_equal(noisy[:3], x[:3])
    want = 0.5 * (x.max() - x.min()) * jax.random.normal(KEY, x.shape)
    np.testing.assert_allclose(noisy[3:] - quiet[3:], want[3:], **tol(np.float32, scale=10.0))


@pytest.mark.slow
def test_a_batch_of_masks_is_a_loop_and_derivatives_exist(x64):
    x = jnp.asarray(np.random.default_rng(4).normal(size=(5, 5, 1)))
    kept = jnp.asarray(np.random.default_rng(5).uniform(size=(3, 5, 5, 1)) < 0.5)
    mapped = jax.vmap(lambda kept: plain(x)(kept))(kept)
    for got, mask in zip(mapped, kept, strict=True):
        np.testing.assert_allclose(got, plain(x)(mask), rtol=0, atol=SOLVED)
    direction = jnp.ones_like(x)
    gradient = jax.grad(lambda x: jnp.sum(LinearFill(x, 0 * x)(kept[0]) ** 2))(x)
    ahead, behind = (jnp.sum(LinearFill(x + h * direction, 0 * x)(kept[0]) ** 2) for h in (1e-4, -1e-4))
    np.testing.assert_allclose(jnp.sum(gradient * direction), (ahead - behind) / 2e-4, rtol=1e-6)


def test_methods_without_masks_refuse_it_and_the_engine_hands_it_on():
    model = jaxplain.from_function(channel_sums, jnp.ones((1, 2)))
    x = np.random.default_rng(6).normal(size=(2, 4, 4, 2)).astype(np.float32)
    with pytest.raises(InputTypeError, match="integrated_gradients: NoisyLinear is a baseline that depends on what is"):
        jaxplain.explain(model, x, Logit(0), method="integrated_gradients", baseline=NoisyLinear(), key=KEY)
    windows = {"window": (2, 2), "stride": (2, 2), "method": "occlusion"}
    maps = jaxplain.explain(model, x, Logit(0), baseline=NoisyLinear(0.0), key=KEY, **windows)
    hidden = np.zeros((4, 4), bool)
    hidden[:2, :2] = True
    want = x[1, :, :, 0].sum() - by_scipy(x[1, :, :, 0].astype(float), ~hidden).sum()
    np.testing.assert_allclose(maps[1, 0, 0], want, **tol(np.float32, terms=32, scale=4.0, safety=64))


def test_misuse_is_refused():
    with pytest.raises(InputTypeError, match=r"key=jax\.random\.key\(0\)"):
        NoisyLinear()(jnp.ones((3, 3, 1)), None)
    with pytest.raises(InputError, match="no neighbors"):
        NoisyLinear()(jnp.ones(3), KEY)
