"""Every rule on every kind of affine block equals the textbook formula on the block's dense matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax

from jaxplain.graph.predicates import ReadsInput
from jaxplain.methods.lrp import AlphaBeta, Epsilon, Flat, Gamma, Norm, WSquare, ZBox, ZPlus, lrp

EPSILON = 1e-3


def random(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def bias(*shape):
    return random(shape, 1)


def conv(x, shape, strides=None, padding="SAME", biased=True, **options):
    """A convolution over the spatial axes of ``(*space, channels)`` with a random kernel of a shape."""
    n = x.ndim - 1
    space = "DHW"[-n:]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    strides = strides or (1,) * n
    y = lax.conv_general_dilated(x[None], random(shape, 2), strides, padding, dimension_numbers=numbers, **options)
    return (y + bias(*(1,) * (n + 1), shape[-1]) if biased else y)[0]


class Normalized(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(3, (3, 3), strides=2, name="conv")(x)
        return linen.BatchNorm(use_running_average=True, name="norm")(x)


def normalized(x):
    """A convolution with bias and inference BatchNorm, none of whose parameters is trivial."""
    params = {"conv": {"kernel": random((3, 3, 2, 3), 2), "bias": bias(3)}}
    params["norm"] = {"scale": random((3,), 3), "bias": random((3,), 4)}
    statistics = {"norm": {"mean": random((3,), 5), "var": jnp.exp(random((3,), 6))}}
    return Normalized().apply({"params": params, "batch_stats": statistics}, x[None])[0]


BLOCKS = {
    "dense": (lambda x: x @ random((5, 3), 2) + bias(3), (5,)),
    "dense, without bias": (lambda x: x @ random((5, 3), 2), (5,)),
    "dense, over tokens": (lambda x: x @ random((3, 4), 2) + bias(1, 4), (2, 3)),
    "dense, weights first": (lambda x: random((3, 5), 2) @ x - bias(3), (5,)),
    "dense, scaled": (lambda x: (x @ random((5, 3), 2) + bias(3)) * random((3,), 4) / 3.0, (5,)),
    "conv 1-D": (lambda x: conv(x, (3, 2, 3)), (6, 2)),
    "conv 2-D": (lambda x: conv(x, (3, 3, 2, 3)), (4, 3, 2)),
    "conv 3-D": (lambda x: conv(x, (2, 2, 2, 2, 2), biased=False), (3, 2, 3, 2)),
    "strided": (lambda x: conv(x, (3, 3, 2, 3), (2, 2)), (5, 4, 2)),
    "padded": (lambda x: conv(x, (2, 2, 2, 3), padding=((2, 1), (0, 2))), (3, 3, 2)),
    "dilated": (lambda x: conv(x, (2, 2, 2, 3), rhs_dilation=(2, 2)), (4, 4, 2)),
    "grouped": (lambda x: conv(x, (3, 3, 2, 6), feature_group_count=2), (3, 4, 4)),
    "depthwise": (lambda x: conv(x, (3, 3, 1, 3), feature_group_count=3), (4, 3, 3)),
    "transposed": (lambda x: conv(x, (2, 2, 2, 3), padding=((1, 1), (1, 1)), lhs_dilation=(3, 3)), (3, 2, 2)),
    "conv, bias and BatchNorm": (normalized, (5, 4, 2)),
}


def share(relevance, total, epsilon=EPSILON):
    stable = total + epsilon * np.where(total >= 0, 1, -1)
    return np.divide(relevance, stable, out=np.zeros_like(stable), where=stable != 0)


def above(values):
    return np.maximum(values, 0)


def below(values):
    return np.minimum(values, 0)


def epsilon(w, b, x, r):
    q = w * x
    return share(r, q.sum(1) + b) @ q


def norm(w, b, x, r):
    q = w * x
    return share(r, q.sum(1)) @ q


def alpha_beta(alpha, of_positive=above, of_negative=below):
    def rule(w, b, x, r):
        q = w * x
        positive = share(alpha * r, above(q).sum(1) + of_positive(b)) @ above(q)
        return positive - share((alpha - 1) * r, below(q).sum(1) + of_negative(b)) @ below(q)

    return rule


def gamma(value):
    def rule(w, b, x, r):
        q = w * x
        z = q.sum(1) + b
        up = q + value * above(q), z + value * (above(q).sum(1) + above(b))
        down = q + value * below(q), z + value * (below(q).sum(1) + below(b))
        return share(np.where(z >= 0, r, 0), up[1]) @ up[0] + share(np.where(z < 0, r, 0), down[1]) @ down[0]

    return rule


def flat(w, b, x, r):
    read = (w != 0).astype(float)
    return share(r, read.sum(1), 0) @ read


def w_square(w, b, x, r):
    return share(r, (w**2).sum(1), 0) @ w**2


def z_box(w, b, x, r, low, high):
    k = w * x - low * above(w) - high * below(w)
    return share(r, k.sum(1)) @ k


def bounds(shape):
    return random(shape, 5) - jnp.abs(random(shape, 7)), random(shape, 5) + jnp.abs(random(shape, 8))


def z_box_of_arrays(w, b, x, r):
    return z_box(w, b, x, r, *(np.asarray(bound) for bound in bounds(x.shape)))


RULES = {
    "epsilon": (Epsilon(EPSILON), epsilon),
    "epsilon 0": (Epsilon(0.0), lambda w, b, x, r: share(r, (w * x).sum(1) + b, 0) @ (w * x)),
    "norm": (Norm(EPSILON), norm),
    "z-plus": (ZPlus(epsilon=EPSILON), alpha_beta(1)),
    "z-plus, no bias": (ZPlus("none", EPSILON), alpha_beta(1, lambda b: 0 * b)),
    "z-plus, whole bias": (ZPlus("whole", EPSILON), alpha_beta(1, lambda b: b)),
    "alpha 2": (AlphaBeta(2.0, epsilon=EPSILON), alpha_beta(2)),
    "alpha 3, no bias": (AlphaBeta(3.0, "none", EPSILON), alpha_beta(3, lambda b: 0 * b, lambda b: 0 * b)),
    "alpha 2, whole bias": (AlphaBeta(2.0, "whole", EPSILON), alpha_beta(2, lambda b: b, lambda b: b)),
    "gamma": (Gamma(0.25, EPSILON), gamma(0.25)),
    "gamma 100": (Gamma(np.float64(100), EPSILON), gamma(100)),
    "flat": (Flat(), flat),
    "w-square": (WSquare(), w_square),
    "z-box": (ZBox(-3.0, 4.0, EPSILON), lambda *block: z_box(*block, -3, 4)),
    "z-box of arrays": (lambda shape: ZBox(*bounds(shape), EPSILON), z_box_of_arrays),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_rules_equal_the_matrix_form(x64, name):
    block, shape = BLOCKS[name]
    x, cotangent = random(shape, 5), random((1000,), 6)

    def score(x):
        z = block(x).reshape(-1)
        return z @ cotangent[: z.size]  # relevance of both signs, unrelated to the block

    def maps(x):
        rules = {word: rule(shape) if callable(rule) else rule for word, (rule, _) in RULES.items()}
        return {word: lrp(score, x, composite=((ReadsInput(), rule),)) for word, rule in rules.items()}

    weight = np.asarray(jax.jacrev(lambda x: block(x).reshape(-1))(x)).reshape(-1, x.size)
    z, entries = np.ravel(block(x)), np.ravel(x)
    got = jax.jit(maps)(x)
    for word, (_, textbook) in RULES.items():
        want = textbook(weight, z - weight @ entries, entries, np.asarray(cotangent[: z.size]) * z)
        np.testing.assert_allclose(np.ravel(got[word]), want, rtol=1e-10, atol=1e-10, err_msg=word)
