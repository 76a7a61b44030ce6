"""Maps of mirrored, turned and shifted views against loops by hand, in the example's own frame."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain import InputError, Logit, Logits, Score, methods, wrap
from jaxplain.testing import tol
from jaxplain.testing.networks import LAYER, SHAPE, images, smooth_network

SQUARE = (6, 6, 2)
WEIGHTS = jax.random.normal(jax.random.key(0), (3, *SQUARE))


def network(weights, batch):
    """Two scores that see corners and pairs of a square image."""
    hidden = jnp.tanh(jnp.einsum("bhwc,khwc->bkhw", batch, weights.astype(batch.dtype)))
    return jnp.sum(hidden[:, :, :-1] * hidden[:, :, 1:], axis=(2, 3)) + jnp.sum(hidden, axis=(2, 3))


def square(seed=1):
    return jax.random.normal(jax.random.key(seed), SQUARE)


def by_hand(explain, moves):
    """Maps ``(k, h, w, c)`` of all views, brought back; a move is a pair: there and back, on the axes of an example."""
    return np.stack([back(np.asarray(explain(there))) for there, back in moves])


def symmetries():
    """The eight symmetries of a square, on axes -3 and -2."""
    for flip, turns in itertools.product((False, True), range(4)):

        def there(v, flip=flip, turns=turns):
            return np.rot90(np.flip(v, -2) if flip else v, turns, (-3, -2))

        def back(v, flip=flip, turns=turns):
            undone = np.rot90(v, -turns, (-3, -2))
            return np.flip(undone, -2) if flip else undone

        yield there, back


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_all_symmetries_of_a_square_with_their_baselines(statistic):
    f = Score(jaxplain.from_function(network, WEIGHTS), Logits(jnp.array([2, 0])))
    x, baseline = square(), 0.2 * square(2)

    def explain(there):
        return methods.integrated_gradients(f, jnp.asarray(there(x)), baseline=jnp.asarray(there(baseline)), n_steps=4)

    maps = by_hand(explain, symmetries())
    want = {"mean": maps.mean(0), "std": maps.std(0)}[statistic]
    entry = wrap("augment", "integrated_gradients", flips=(-1,), turns=(0, 1), statistic=statistic)
    got = entry(f, x, baseline=baseline, n_steps=4)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=300, scale=float(np.abs(maps).max())))


def test_backgrounds_are_moved():
    f = Score(jaxplain.from_function(network, WEIGHTS), Logit(1))
    x, background = square(), jnp.stack([0.1 * square(3), 0.3 * square(4)])
    flip = lambda v: jnp.flip(v, -2)  # noqa: E731
    maps = [
        methods.deep_shap(f, x, background=background, unknown="gradient"),
        flip(methods.deep_shap(f, flip(x), background=flip(background), unknown="gradient")),
    ]
    got = wrap("augment", "deep_shap")(f, x, background=background, unknown="gradient")
    np.testing.assert_allclose(got, np.mean(maps, axis=0), **tol(np.float32, terms=300, scale=8))


def test_a_symmetric_network_sees_the_same_in_every_view():
    """A function of the sum over a square is the same for all views, so the maps are equal and do not deviate."""
    f, x = lambda x: jnp.tanh(jnp.sum(x)), 0.01 * square()
    knobs = {"flips": (0, 1), "turns": (0, 1)}
    want = methods.input_x_gradient(f, x)
    np.testing.assert_allclose(wrap("augment", "input_x_gradient", **knobs)(f, x), want, **tol(np.float32, terms=72))
    std = wrap("augment", "input_x_gradient", statistic="std", **knobs)(f, x)
    np.testing.assert_allclose(std, 0, atol=1e-6 * float(jnp.abs(want).max()))


def test_shifted_maps_are_shifted_back():
    """The gradient of a sum of squares is 2 x, so inside of the edge all shifts agree."""
    x = square()
    got = wrap("augment", "gradient", flips=(), shift=2, statistic="std")(lambda x: jnp.sum(x**2), x)
    np.testing.assert_allclose(got[2:-2, 2:-2], 0, atol=1e-5)
    assert np.abs(got[:2]).max() > 0.1  # the edge is repeated, so there they differ


@pytest.mark.parametrize(("upsample", "shape"), [("bilinear", SHAPE[:2]), (None, (6, 5))])
def test_maps_without_channels_and_coarse_ones_are_moved(upsample, shape):
    f, x = Score(smooth_network(), Logits(jnp.array([1, 2, 3]))), jnp.asarray(images(1)[0])
    cam = lambda x: methods.grad_cam(f, x, layer=LAYER, upsample=upsample)  # noqa: E731
    maps = [jnp.flip(cam(jnp.flip(x, axes)), tuple(axis + 1 for axis in axes)) for axes in ((), (0,), (1,), (0, 1))]
    got = wrap("augment", "grad_cam", flips=(0, 1))(f, x, layer=LAYER, upsample=upsample)
    assert got.shape == (3, *shape)
    np.testing.assert_allclose(got, np.mean(maps, axis=0), **tol(np.float32, terms=300, scale=float(jnp.max(cam(x)))))


def test_signals_and_volumes_are_flipped_along_their_space():
    x = jnp.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(wrap("augment", "gradient")(lambda x: x[0] ** 2, x), [1.0, 0.0, 4.0])
    volume = jnp.arange(16.0).reshape(2, 2, 2, 2)
    got = wrap("augment", "gradient", flips=(0,))(lambda x: x[0, 1, 1, 0], volume)
    np.testing.assert_array_equal(got, jnp.zeros_like(volume).at[:, 1, 1, 0].set(0.5))


def test_explaining_many_images_with_a_baseline_for_each():
    x, model = images(5), smooth_network()
    knobs = {"baseline": images(5, seed=1), "n_steps": 3}
    mirrored = {"baseline": knobs["baseline"][:, :, ::-1], "n_steps": 3}
    got = jaxplain.explain(model, x, Logit(1), method="augment(integrated_gradients)", batch=2, **knobs)
    one = jaxplain.explain(model, x, Logit(1), method="integrated_gradients", **knobs)
    other = jaxplain.explain(model, x[:, :, ::-1], Logit(1), method="integrated_gradients", **mirrored)[:, :, ::-1]
    np.testing.assert_allclose(got, (one + other) / 2, **tol(np.float32, terms=300, scale=float(np.abs(one).max())))


@pytest.mark.parametrize(
    ("method", "knobs", "words"),
    [
        ("gradient", {"turns": (0, 1)}, r"turns = \(0, 1\) must name two axes of equal length in \(12, 10\)"),
        ("gradient", {"flips": (2,)}, r"flips = \(2,\) must be different axes of the space"),
        ("gradient", {"shift": 10}, "shift = 10 must be less than every axis"),
        ("grad_cam", {"shift": 1}, r"augment\(grad_cam\): maps of shape \(6, 5\) do not move"),
    ],
)
def test_what_does_not_move_is_refused(method, knobs, words):
    f, x = Score(smooth_network(), Logit(1)), jnp.asarray(images(1)[0])
    context = {"layer": LAYER, "upsample": None} if method == "grad_cam" else {}
    with pytest.raises(InputError, match=words):
        wrap("augment", method, **knobs)(f, x, **context)
