"""Smooth Grad-CAM++ against Grad-CAM++ and a loop over noisy copies, for the whole layer and parts of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

import jaxplain
from jaxplain.core.sampling import sample_key
from jaxplain.core.score import Score
from jaxplain.methods import grad_cam_pp, smooth_grad_cam_pp, smooth_grad_cam_pp_with_diagnostics
from jaxplain.testing import networks, tol
from jaxplain.testing.networks import LAYER

KEY = jax.random.key(5)
X = jnp.asarray(networks.images(1)[0])
F = Score(networks.smooth_network(), jaxplain.Logits(jnp.array([1, 3])))


def smooth(f=F, x=X, **knobs):
    """The map with few samples."""
    return smooth_grad_cam_pp(f, x, **{"key": KEY, "layer": LAYER, "n_samples": 4, **knobs})


def same(got, want):
    """Whether two maps are equal to rounding."""
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=256, scale=float(jnp.abs(want).max()), safety=64))


@pytest.mark.parametrize("average", ["derivatives", "maps"])
@pytest.mark.parametrize("denominator", ["activation_sum", "product_sum"])
@pytest.mark.parametrize("derivatives_of", ["score", "exp"])
def test_without_noise_it_is_grad_cam_pp(average, denominator, derivatives_of):
    want = grad_cam_pp(F, X, layer=LAYER, denominator=denominator)
    same(smooth(sigma=0.0, average=average, denominator=denominator, derivatives_of=derivatives_of), want)


def curved(x):
    """A score whose gradient at the layer ``a = x^2`` is ``cos a``."""
    return jnp.sum(jnp.sin(checkpoint_name(x**2, LAYER)))


@pytest.mark.parametrize("derivatives_of", ["score", "exp"])
def test_derivatives_are_averaged_over_noisy_copies(x64, derivatives_of):
    x = np.random.default_rng(0).uniform(0.2, 1.0, size=(3, 2, 2))
    draws = [jax.random.normal(sample_key(KEY, i), x.shape, jnp.float64) for i in range(4)]
    copies = [x + 0.25 * np.ptp(x) * np.asarray(draw) for draw in draws]
    factors = [np.exp(np.sin(c**2).sum() - np.sin(x**2).sum()) if derivatives_of == "exp" else 1.0 for c in copies]
    d1, d2, d3 = (np.mean([w * np.cos(c**2) ** p for w, c in zip(factors, copies, strict=True)], 0) for p in (1, 2, 3))
    alpha = d2 / (2 * d2 + (x**2).sum((0, 1), keepdims=True) * d3)
    want = x**2 @ (alpha * np.maximum(d1, 0)).sum((0, 1))
    got = smooth(curved, jnp.asarray(x), sigma=0.25, derivatives_of=derivatives_of, relu=False)
    np.testing.assert_allclose(got, want, **tol(np.float64, terms=64, scale=1.0, safety=64))


def test_maps_are_averaged_over_noisy_copies():
    spread = jnp.float32(0.15) * (X.max() - X.min())
    copies = [X + spread * jax.random.normal(sample_key(KEY, i), X.shape, X.dtype) for i in range(4)]
    same(smooth(average="maps"), sum(grad_cam_pp(F, copy, layer=LAYER) for copy in copies) / 4)


@pytest.mark.parametrize("average", ["derivatives", "maps"])
def test_parts_of_the_layer_add_up(average):
    """All of it is no mask; channels, positions and ranges of values in two parts add up before the ReLU."""
    knobs = {"average": average, "relu": False, "upsample": None}
    whole = smooth(**knobs)
    same(smooth(channels=tuple(range(8)), neurons=np.ones((6, 5)), value_range=(-100.0, 100.0), **knobs), whole)
    same(smooth(channels=(0, 3, 7), **knobs) + smooth(channels=(1, 2, 4, 5, 6), **knobs), whole)
    left = np.arange(30).reshape(6, 5) % 5 < 2
    half = smooth(neurons=left.astype(np.float32), **knobs)
    same(half + smooth(neurons=1 - left.astype(np.float32), **knobs), whole)
    np.testing.assert_array_equal(half[:, ~left], 0)
    same(smooth(value_range=(-100.0, 0.9), **knobs) + smooth(value_range=(0.9, 100.0), **knobs), whole)
    same(smooth(neurons=0.5, **knobs), whole / 2)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"channels": (0, 8)}, r"channels = \(0, 8\) of layer 'features' must be numbers of 0 ... 7"),
        ({"channels": (-1,)}, "must be numbers of 0 ... 7"),
        ({"channels": ()}, "must be numbers of 0 ... 7"),
        ({"neurons": np.ones((5, 6))}, r"neurons has the shape \(5, 6\); layer 'features' has the space \(6, 5\)"),
        ({"neurons": 2.0}, "neurons = 2.0 lies outside"),
        ({"value_range": (1.0, 0.0)}, "must be .lowest, highest."),
    ],
)
def test_parts_that_do_not_exist_are_refused(knobs, words):
    with pytest.raises(jaxplain.InputError, match=words):
        smooth(**knobs)


@pytest.mark.parametrize("average", ["derivatives", "maps"])
def test_reported_error_is_that_of_repetitions(average):
    """200 maps of 64 samples scatter as reported.

    The ratio of two such spreads is 1 up to a relative error of about 1/sqrt(2 * 200) = 5 % for one pixel and less for
    the norm over many; the linear part leaves out terms of order 1/n. Beyond 20 % (4 sigma) by chance: below 1e-4.
    """
    x, keys = (
        jnp.asarray(np.random.default_rng(1).uniform(0.5, 1.0, (3, 2, 2)), jnp.float32),
        jax.random.split(KEY, 200),
    )

    def one(key):
        return smooth_grad_cam_pp_with_diagnostics(
            curved, x, key=key, layer=LAYER, n_samples=64, sigma=0.1, average=average, chunk=64
        )

    maps, figures = jax.jit(jax.vmap(one))(keys)
    scatter = np.sqrt(np.var(maps, axis=0, ddof=1).sum()) / np.sqrt(np.square(maps.mean(0)).sum())
    np.testing.assert_allclose(np.mean(figures["stderr"]), scatter, rtol=0.2)


@pytest.mark.slow
def test_form_with_diagnostics_has_the_same_map():
    def f(x):
        return curved(x) * jnp.array([1.0, -0.5])

    knobs = {"key": KEY, "layer": LAYER, "n_samples": 4, "upsample": None}
    got, figures = smooth_grad_cam_pp_with_diagnostics(f, X, **knobs)
    np.testing.assert_array_equal(got, smooth_grad_cam_pp(f, X, **knobs))
    assert figures["stderr"].shape == (2,) and np.all(figures["stderr"] > 0)
    _, figures = smooth_grad_cam_pp_with_diagnostics(f, X, **{**knobs, "n_samples": 1})
    assert np.isnan(figures["stderr"]).all()
