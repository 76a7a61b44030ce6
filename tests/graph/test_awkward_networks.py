"""A network written awkwardly explains like the same network written plainly.

The awkward one calls one ReLU module three times and other activations as functions, writes its channels in place by
``.at[].set`` in two halves, and chooses an activation by ``lax.cond``. The plain one has a call for each, joins the two
halves, and is written once for each branch.
"""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain import Logits, Model, Score, from_function, from_linen, from_nnx
from jaxplain._registry import METHODS
from jaxplain.testing import tol
from jaxplain.testing.architectures.bare import convolution, dense, global_mean
from jaxplain.testing.networks import CLASSES, LAYER, SHAPE, images
from jaxplain.testing.promises import example_keywords

WIDTH, HALF = 6, 3
NAMES = [name for name, entry in sorted(METHODS.items()) if not entry.notes.get("needs_attention")]
FORMS = ("linen", "nnx", "bare")
SELECTED = list(zip(NAMES, itertools.cycle(FORMS), strict=False))
OTHERS = sorted(set(itertools.product(NAMES, FORMS)) - set(SELECTED))
# Sums of +-120, which decide the branch: neither noise, nor a hidden window, nor the way to the baseline changes it.
IMAGES = images(4) + np.array([0.5, -0.5, -0.5, 0.5], np.float32).reshape(-1, 1, 1, 1)
BRIGHT = IMAGES.sum(axis=(1, 2, 3)) > 0


def awkward(relu, conv1, conv2, hidden, head, x):
    """The network of three layers and one activation object."""
    y = conv2(relu(conv1(x)))
    y = y.at[..., :HALF].set(relu(y[..., :HALF]))
    y = checkpoint_name(y.at[..., HALF:].set(jax.nn.softplus(y[..., HALF:])), LAYER)
    y = jax.lax.cond(x.sum() > 0, jax.nn.relu, lambda y: jnp.tanh(2 * y), hidden(global_mean(y)))
    return head(relu(y - 0.1))


def plain(bright, conv1, conv2, hidden, head, x):
    """The same, for images that take the first branch, or for those that take the second."""
    y = conv2(jax.nn.relu(conv1(x)))
    y = jnp.concatenate([jax.nn.relu(y[..., :HALF]), jax.nn.softplus(y[..., HALF:])], axis=-1)
    y = hidden(global_mean(checkpoint_name(y, LAYER)))
    y = jax.nn.relu(y) if bright else jnp.tanh(2 * y)
    return head(jax.nn.relu(y - 0.1))


class LinenReLU(nn.Module):
    """An activation as a module, as those write it who come from PyTorch."""

    def __call__(self, x):
        return nn.relu(x)


class LinenAwkward(nn.Module):
    """The awkward network in Linen."""

    def setup(self):
        self.relu = LinenReLU()
        self.conv1, self.conv2 = nn.Conv(WIDTH, (3, 3)), nn.Conv(WIDTH, (3, 3), 2)
        self.hidden, self.head = nn.Dense(WIDTH), nn.Dense(CLASSES)

    def __call__(self, x):
        return awkward(self.relu, self.conv1, self.conv2, self.hidden, self.head, x)


class NnxReLU(nnx.Module):
    """An activation as a module."""

    def __call__(self, x):
        return nnx.relu(x)


class NnxAwkward(nnx.Module):
    """The awkward network in NNX."""

    def __init__(self, *, rngs):
        self.relu = NnxReLU()
        self.conv1 = nnx.Conv(SHAPE[-1], WIDTH, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(WIDTH, WIDTH, (3, 3), 2, rngs=rngs)
        self.hidden, self.head = nnx.Linear(WIDTH, WIDTH, rngs=rngs), nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, x):
        return awkward(self.relu, self.conv1, self.conv2, self.hidden, self.head, x)


def layers_of(weights):
    return (
        functools.partial(convolution, weights["conv1"]),
        functools.partial(convolution, weights["conv2"], stride=2),
        functools.partial(dense, weights["hidden"]),
        functools.partial(dense, weights["head"]),
    )


def bare_awkward(weights, x):
    return awkward(jax.nn.relu, *layers_of(weights), x)


def bare_plain(bright, weights, x):
    return plain(bright, *layers_of(weights), x)


@functools.cache
def model_of(form):
    model = from_nnx(NnxAwkward(rngs=nnx.Rngs(3)))
    weights = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), model.params)
    match form:
        case "linen":
            return from_linen(LinenAwkward(), {"params": weights})
        case "nnx":
            return Model(weights, model.apply)
        case "bare":
            return from_function(bare_awkward, weights)
    return from_function(functools.partial(bare_plain, form == "bright"), weights)


@functools.cache
def maps(name, form):
    """The maps of all images and of three classes, under ``jit(vmap)``."""
    entry = METHODS[name]

    def explain(model, x):
        keywords = example_keywords(entry, x)
        # Where the network takes the same branch.
        near = {"baseline": 0.1 * x, "background": jnp.stack([0.1 * x, 0.4 * x]), "low": 0.1 * x, "high": 1.5 * x}
        keywords |= {word: value for word, value in near.items() if word in keywords}
        return entry.function(Score(model, Logits(jnp.array([0, 2, 3]))), x, **keywords)

    return np.asarray(jax.jit(jax.vmap(explain, in_axes=(None, 0)))(model_of(form), IMAGES))


def logits(form):
    return np.asarray(jax.jit(model_of(form))(IMAGES))


def check(name, form):
    bright, dark = maps(name, "bright"), maps(name, "dark")
    want = np.where(BRIGHT.reshape(-1, *(1,) * (bright.ndim - 1)), bright, dark)
    assert all(np.abs(want[branch]).max() > 0 for branch in (BRIGHT, ~BRIGHT))
    np.testing.assert_allclose(maps(name, form), want, rtol=0, atol=1e-5 * float(np.abs(want).max()))


@pytest.mark.parametrize("form", FORMS)
def test_the_networks_are_the_same_function_and_both_branches_are_taken(form):
    assert BRIGHT.tolist() == [True, False, False, True]
    want = np.where(BRIGHT[:, None], logits("bright"), logits("dark"))
    # One by one: of a batch the condition asks for the sum over all images.
    got = [jax.jit(model_of(form))(x[None])[0] for x in IMAGES]
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=100))


@pytest.mark.parametrize(("name", "form"), SELECTED)
def test_maps_equal_those_of_the_plain_network(name, form):
    check(name, form)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), OTHERS)
def test_maps_equal_those_of_the_plain_network_in_all_other_forms(name, form):
    check(name, form)
