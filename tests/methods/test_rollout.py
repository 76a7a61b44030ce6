"""The rollouts against their formulas in NumPy, in all frameworks, and what they refuse."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from jaxplain import methods
from jaxplain._errors import InputError
from jaxplain.core.score import Score
from jaxplain.core.targets import Logits
from jaxplain.graph.attention import attention_gradients
from jaxplain.graph.tokens import patch_grid
from jaxplain.testing import attention_network, tol
from jaxplain.testing.networks import images, smooth_network

ROLLOUTS = ("attention_rollout", "gradient_rollout")
DEPTH, WIDTH, HEADS = 3, 8, 2


def map_of(name, f, x, **knobs):
    return getattr(methods, name)(f, x, **knobs)


# Three layers, by hand and by frameworks


def kernels():
    """Per layer those of query, key and value ``(width, heads, features)``, and of the output, the other way."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(DEPTH, 3, WIDTH, HEADS, WIDTH // HEADS)) / 2
    out = rng.normal(size=(DEPTH, HEADS, WIDTH // HEADS, WIDTH)) / 4
    return jnp.asarray(mixing, jnp.float32), jnp.asarray(out, jnp.float32)


def by_hand(tokens, mixing, out):
    query, key, value = jnp.einsum("bnc,pchd->pbhnd", tokens, mixing)
    powers = jnp.exp(jnp.einsum("bhqd,bhkd->bhqk", query, key) / 2)
    attention = powers / powers.sum(-1, keepdims=True)
    return jnp.einsum("bhqd,hdc->bqc", jnp.einsum("bhqk,bhkd->bhqd", attention, value), out)


def by_linen(tokens, mixing, out):
    module = nn.MultiHeadDotProductAttention(num_heads=HEADS, qkv_features=WIDTH, use_bias=False)
    params = {name: {"kernel": kernel} for name, kernel in zip(("query", "key", "value"), mixing, strict=True)}
    return module.apply({"params": {**params, "out": {"kernel": out}}}, tokens)


def by_nnx(tokens, mixing, out):
    module = nnx.MultiHeadAttention(HEADS, WIDTH, WIDTH, use_bias=False, decode=False, rngs=nnx.Rngs(0))
    for part, kernel in zip((module.query, module.key, module.value, module.out), (*mixing, out), strict=True):
        part.kernel[...] = kernel
    return module(tokens)


def network(attend, run):
    """Two scores of an image ``(6, 4, 2)``: six patches and a class token, three layers."""
    rng = np.random.default_rng(1)
    embedding = jnp.asarray(rng.normal(size=(8, WIDTH)), jnp.float32)
    position = jnp.asarray(rng.normal(size=(7, WIDTH)), jnp.float32)
    head = jnp.asarray(rng.normal(size=(WIDTH, 2)), jnp.float32)

    def f(x):
        patches = x.reshape(3, 2, 2, 2, 2).transpose(0, 2, 1, 3, 4).reshape(1, 6, 8) @ embedding
        tokens = jnp.pad(patches, ((0, 0), (1, 0), (0, 0))) + position[None]

        def layer(tokens, weights):
            normed = tokens / jnp.sqrt(jnp.mean(tokens**2, -1, keepdims=True))
            return jnp.tanh(tokens + attend(normed, *weights))

        return run(layer, tokens, kernels())[0, 0] @ head

    return f


def unrolled(layer, tokens, weights):
    for number in range(DEPTH):
        tokens = layer(tokens, jax.tree.map(lambda leaf, k=number: leaf[k], weights))
    return tokens


def scanned(layer, tokens, weights):
    return lax.scan(lambda tokens, each: (layer(tokens, each), None), tokens, weights)[0]


def remat(layer, tokens, weights):
    return scanned(jax.checkpoint(layer), tokens, weights)


IMAGE = jnp.asarray(np.random.default_rng(2).normal(size=(6, 4, 2)).astype(np.float32))
PLAIN = network(by_hand, unrolled)
SAME = {
    "linen": network(by_linen, unrolled),
    "nnx": network(by_nnx, unrolled),
    "scan": network(by_hand, scanned),
    "remat in a scan": network(by_linen, remat),
    "remat": network(by_hand, lambda layer, *rest: unrolled(jax.checkpoint(layer), *rest)),
    "jit": jax.jit(PLAIN),
}


@pytest.mark.parametrize("name", ROLLOUTS)
@pytest.mark.parametrize("other", SAME)
def test_equal_weights_have_equal_maps(name, other):
    want = map_of(name, PLAIN, IMAGE)
    got = map_of(name, SAME[other], IMAGE)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=512, scale=float(want.max())))


@pytest.mark.parametrize("name", ROLLOUTS)
def test_compiled_and_mapped_equals_one_by_one(name):
    batch = jnp.stack([IMAGE, 2 * IMAGE, IMAGE[::-1]])
    got = jax.jit(jax.vmap(lambda x: map_of(name, SAME["remat in a scan"], x)))(batch)
    want = np.stack([map_of(name, PLAIN, x) for x in batch])
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=512, scale=float(want.max())))


def rows(name, read):
    """What is read from the product of all matrices, for each of the two scores."""
    _, matrices, gradients = attention_gradients("test", PLAIN, IMAGE)
    product = np.stack([np.eye(7)] * 2)
    for matrix, gradient in zip(matrices, gradients, strict=True):
        if name == "attention_rollout":
            product = (0.5 * np.asarray(matrix).mean(0) + 0.5 * np.eye(7)) @ product
        else:
            product = product + np.maximum(gradient * matrix[None], 0).mean(1) @ product
    return product[:, 0] if read == "first" else product[:, 1:].mean(1)


@pytest.mark.parametrize("name", ROLLOUTS)
@pytest.mark.parametrize("read", ["first", "mean", None])
def test_formula_with_whole_matrices(name, read):
    """The product of all matrices, of which the library only carries a row."""
    got = map_of(name, PLAIN, IMAGE, read=read, upsample=None)
    want = rows(name, read or "first")[:, 1:].reshape(2, 3, 2)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=512, scale=float(want.max())))


@pytest.mark.parametrize("name", ROLLOUTS)
def test_upsampling_is_that_of_the_cams(name):
    small = map_of(name, PLAIN, IMAGE, upsample=None)
    got = map_of(name, PLAIN, IMAGE, upsample="nearest")
    np.testing.assert_array_equal(got, np.repeat(np.repeat(small, 2, 1), 2, 2))
    assert map_of(name, PLAIN, IMAGE).shape == (2, 6, 4)


def test_attention_rollout_is_the_same_for_every_score():
    first, second = methods.attention_rollout(PLAIN, IMAGE)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, methods.attention_rollout(lambda x: -3 * PLAIN(x)[1], IMAGE))


def test_gradient_rollout_tells_scores_apart_and_grows_with_them():
    """A layer's matrix is linear in a score's positive scale, so with one layer the map is, too."""
    one = network(by_hand, lambda layer, tokens, weights: layer(tokens, jax.tree.map(lambda leaf: leaf[0], weights)))
    first, second = methods.gradient_rollout(one, IMAGE)
    assert float(jnp.max(jnp.abs(first - second))) > 1e-3
    tripled = methods.gradient_rollout(lambda x: 3 * one(x), IMAGE)
    np.testing.assert_allclose(tripled, 3 * jnp.stack([first, second]), **tol(np.float32, terms=64))


def test_without_class_token_all_rows_are_averaged():
    def f(x):
        tokens = x.reshape(4, 3)
        return jnp.sum(jax.nn.softmax(tokens @ tokens.T) @ tokens)

    x = IMAGE[:2, :3].transpose(0, 2, 1).reshape(2, 2, 3)
    matrix = np.asarray(jax.nn.softmax(x.reshape(4, 3) @ x.reshape(4, 3).T))
    want = (0.5 * matrix + 0.5 * np.eye(4)).mean(0).reshape(2, 2)
    np.testing.assert_allclose(methods.attention_rollout(f, x), want, **tol(np.float32, terms=16))
    first = methods.attention_rollout(f, x, read="first")
    np.testing.assert_allclose(first.ravel(), (0.5 * matrix + 0.5 * np.eye(4))[0], **tol(np.float32, terms=16))


def test_three_axes_of_space():
    def f(x):
        tokens = jnp.pad(x.reshape(8, -1, 2).mean(1), ((1, 0), (0, 0)))
        return jnp.sum(jax.nn.softmax(tokens @ tokens.T) @ tokens)

    x = jnp.ones((2, 2, 2, 2))
    np.testing.assert_allclose(methods.attention_rollout(f, x, upsample=None), jnp.full((2, 2, 2), 1 / 18), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROLLOUTS)
def test_half_precision_is_summed_wider(name):
    model, x = attention_network(), jnp.asarray(images(1)[0])
    f = Score(model, Logits(jnp.array([1, 3])))
    half = map_of(name, f, x.astype(jnp.bfloat16))
    want = np.asarray(map_of(name, f, x))
    assert half.dtype == jnp.bfloat16
    limits = tol(jnp.bfloat16, terms=64, scale=float(want.max()))
    np.testing.assert_allclose(half.astype(jnp.float32), want, **limits)


# The layout of tokens


@pytest.mark.parametrize(
    ("n_tokens", "space", "given", "want"),
    [
        (197, (224, 224), {}, (1, (14, 14))),
        (198, (224, 224), {}, (2, (14, 14))),
        (196, (224, 224), {}, (0, (14, 14))),
        (261, (224, 224), {}, (5, (16, 16))),
        (50, (224, 224), {}, (1, (7, 7))),
        (577, (384, 384), {}, (1, (24, 24))),
        (13, (32, 48), {"n_prefix": 7}, (7, (2, 3))),
        (205, (224, 224), {"n_prefix": 9}, (9, (14, 14))),
        (29, (10, 12), {"grid": (4, 5)}, (9, (4, 5))),
        (1569, (16, 224, 224), {"grid": (8, 14, 14)}, (1, (8, 14, 14))),
    ],
)
def test_layout_of_tokens(n_tokens, space, given, want):
    assert patch_grid("test", n_tokens, space, **{"n_prefix": None, "grid": None, **given}) == want


@pytest.mark.parametrize(
    ("n_tokens", "space", "given", "words"),
    [
        (29, (10, 12), {}, "no grid with n_prefix=None and grid=None; pass n_prefix="),
        (9, (36, 36), {}, r"n_prefix=0, grid=\(3, 3\) or n_prefix=5, grid=\(2, 2\)|n_prefix=5, grid=\(2, 2\) or"),
        (197, (224, 224), {"n_prefix": 3}, "no grid with n_prefix=3"),
        (10, (4, 4), {"grid": (4, 4)}, r"no grid.*grid=\(4, 4\)"),
        (17, (4, 4), {"grid": (4,)}, "an entry for each axis"),
        (17, (16,), {}, "two or three axes"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(n_tokens, space, given, words):
    with pytest.raises(InputError, match=words):
        patch_grid("test", n_tokens, space, **{"n_prefix": None, "grid": None, **given})


@pytest.mark.parametrize("name", ROLLOUTS)
def test_a_network_without_attention_is_refused(name):
    x = jnp.asarray(images(1)[0])
    with pytest.raises(InputError, match=f"{name}: the network has no attention, which is a softmax"):
        map_of(name, lambda x: smooth_network()(x[None])[0, 1], x)
