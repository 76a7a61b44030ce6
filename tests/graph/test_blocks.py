"""Blocks: what belongs together, what a block is called, and affine runs as weights and shift."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from jaxplain import InputError, Logit, Score, from_linen
from jaxplain.graph.blocks import blocks_of
from jaxplain.graph.placing import place_rules
from jaxplain.graph.predicates import Linear, OfKind, ReadsInput
from jaxplain.graph.rules import KEEP
from jaxplain.graph.trace import trace
from jaxplain.testing import tol

X = jax.random.normal(jax.random.key(0), (6, 6, 4))
W = jax.random.normal(jax.random.key(1), (4, 4))


class Peek:
    """A rule that keeps what it meets."""

    def __init__(self):
        self.calls = []

    def backward(self, call, cotangents):
        self.calls.append(call)
        return call.pull(cotangents)


def kinds(f, x=X):
    return [one.block.kind for one in blocks_of(trace(f, x))[0]]


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda x: x + x[::-1], ["rev", "sum"]),
        (lambda x: x - 1.0, ["sub"]),
        (lambda x: x * jnp.sin(x), ["sin", "bilinear"]),
        (lambda x: x * x, ["square"]),
        (lambda x: 2.0 / x, ["quotient"]),
        (lambda x: x / 2.0, ["div"]),
        (lambda x: x @ W + 1.0, ["dot"]),
        (lambda x: jnp.einsum("hwc,hvc->hwv", x, x), ["bilinear"]),
        (lambda x: jax.nn.relu(x @ W) @ W, ["dot", "relu", "dot"]),
        (lambda x: x.mean(), ["mean"]),
        (lambda x: (lambda e: e / jnp.sum(e, -1, keepdims=True))(jnp.exp(x)), ["softmax"]),
    ],
)
def test_a_block_is_named_by_what_it_does_to_values_that_depend_on_the_input(f, want):
    assert kinds(f)[: len(want)] == want


def test_parts_are_offered_where_no_rule_takes_the_whole():
    f = lambda x: jnp.sum((x @ W + 1.0) ** 3)  # noqa: E731
    (whole, *_), _ = blocks_of(trace(f, X))
    assert (whole.block.kind, whole.block.parts) == ("dot", ("dot", "add"))
    taken = place_rules(f, X, [(OfKind("dot"), Peek())]).acting
    assert [one.placed.block.parts for one in taken] == [("dot", "add")]
    taken = place_rules(f, X, [(OfKind("add"), Peek())]).acting
    assert [(one.placed.block.kind, one.placed.block.parts) for one in taken] == [("add", ())]


def test_positions_count_whole_blocks_and_parts_share_them():
    placed, _ = blocks_of(trace(lambda x: jnp.tanh(x @ W + 1.0) @ W * 2.0, X))
    assert [one.block.position for one in placed] == [0, 1, 2]
    assert [part.block.position for part in placed[2].parts] == [2, 2]


def conv(x, kernel, **options):
    given = {"window_strides": (1, 1), "padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC"), **options}
    return lax.conv_general_dilated(x, kernel, **given)


KERNEL = jax.random.normal(jax.random.key(2), (3, 3, 4, 5))
FACTOR = jax.random.normal(jax.random.key(3), (5,))
DEPTHWISE = jax.random.normal(jax.random.key(4), (3, 3, 1, 8))
HEADS = jax.random.normal(jax.random.key(5), (4, 2, 3))


def batch_norm(x):
    module = nn.BatchNorm(use_running_average=True)
    variables = {
        "params": {"scale": FACTOR, "bias": FACTOR + 1.0},
        "batch_stats": {"mean": FACTOR * 2.0, "var": FACTOR**2 + 0.1},
    }
    return module.apply(variables, x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: conv(x[None], KERNEL),
        lambda x: conv(x[None], KERNEL) + 1.0,
        lambda x: (1.0 - conv(x[None], KERNEL, window_strides=(2, 2)) * FACTOR.reshape(1, 1, 1, 5)) / 3.0,
        lambda x: batch_norm(conv(x[None], KERNEL) + FACTOR.reshape(1, 1, 1, 5)),
        lambda x: conv(x[None], DEPTHWISE, feature_group_count=4) * jnp.arange(8.0).reshape(1, 1, 1, 8),
        lambda x: conv(x[None], KERNEL, lhs_dilation=(2, 2), padding=((1, 2), (1, 2))) * FACTOR.reshape(1, 1, 1, 5),
        lambda x: (
            conv(x.transpose(2, 0, 1)[None], KERNEL, dimension_numbers=("NCHW", "HWIO", "NCHW"))
            * FACTOR.reshape(1, 5, 1, 1)
        ),
        lambda x: x @ W * W[0].reshape(1, 1, 4) + x.size,
        lambda x: jnp.einsum("hwc,cnd->hwnd", x, HEADS) * HEADS[0].reshape(1, 1, 2, 3),
        lambda x: jnp.einsum("cnd,hwc->ndhw", HEADS, x) * HEADS[0].reshape(2, 3, 1, 1) - 1.0,
        lambda x: jnp.einsum("hwc,hcd->hwd", x, jnp.ones((6, 4, 3)) + 0.5) * jnp.arange(6.0).reshape(6, 1, 1),
    ],
)
def test_an_affine_run_is_a_product_with_folded_weights_and_a_shift(f):
    peek = Peek()
    placement = place_rules(lambda x: jnp.sum(f(x) ** 3), X, [(OfKind("conv", "dot"), peek)])
    assert len(placement.acting) == 1
    jax.grad(placement.value)(X)
    (call,) = peek.calls
    affine, (value,) = call.affine, call.inputs
    want = f(X)
    np.testing.assert_allclose(
        affine.product(value, affine.weight) + affine.shift, want, **tol(want.dtype, terms=100, scale=50)
    )
    if len(call.block.parts) > 1:
        assert call.block.shape == want.shape


def test_a_factor_that_differs_from_place_to_place_ends_the_run():
    mask = jnp.arange(36.0).reshape(1, 6, 6, 1)
    parts = [
        one.block.parts or one.block.kind for one in blocks_of(trace(lambda x: conv(x[None], KERNEL) * mask, X))[0]
    ]
    assert parts == ["broadcast_in_dim", "conv", "mul"]


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda x: x.reshape(-1, 4).T[None, :, ::-1].transpose(0, 2, 1) @ W, [True]),
        (lambda x: jnp.pad(x, ((1, 1), (0, 0), (0, 0))) @ W, [True]),
        (lambda x: (x - 0.5) @ W, [False]),
        (lambda x: jax.nn.relu(x @ W) @ W, [True, False]),
        (lambda x: jax.checkpoint(lambda x: jnp.tanh(x @ W))(x[1:]), [True]),
        (lambda x: lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, jnp.stack([W, W]))[0], [False]),
        (lambda x: lax.scan(lambda h, w: (h + x @ w, None), jnp.zeros_like(x), jnp.stack([W, W]))[0], [True]),
        (lambda x: lax.cond(x[0, 0, 0] > 0, lambda x: x, lambda x: 2 * x, x) @ W, [False]),
    ],
)
def test_a_block_reads_the_input_through_movements_alone(f, want):
    found = [one.block for one in blocks_of(trace(f, X))[0] if one.block.kind == "dot"]
    assert [block.reads_input for block in found] == want
    assert [ReadsInput()(block) for block in found] == want


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Conv(3, (3, 3))(x)))
        x = nn.LayerNorm()(nn.max_pool(x, (2, 2), (2, 2)))
        return nn.Dense(5)(x.mean((1, 2)))


def test_the_blocks_of_a_network_in_flax():
    score = Score(from_linen(Net(), Net().init(jax.random.key(0), X[None])), Logit(1))
    blocks = [one.block for one in blocks_of(trace(score, X))[0]]
    named = [
        (block.path, block.kind) for block in blocks if block.kind not in ("broadcast_in_dim", "reshape", "squeeze")
    ]
    assert named[:4] == [("Conv_0", "conv"), ("", "relu"), ("", "max_pool"), ("LayerNorm_0", "layer_norm")]
    assert ("", "mean") in named and ("Dense_0", "dot") in named
    assert blocks[[block.kind for block in blocks].index("conv")].parts == ("conv", "add", "sub", "mul", "add")


def test_what_must_be_known_is_named_with_its_place():
    with pytest.raises(InputError, match=r"no rule for the operation 'sin'.*test_blocks.py.*nor for 1 more"):
        place_rules(lambda x: jnp.cos(jnp.sin(x @ W)), X, [(OfKind("dot"), KEEP)], unknown="raise", where="lrp")
    place_rules(lambda x: jnp.cos(jnp.sin(x @ W)), X, [(OfKind("dot"), KEEP)])


def test_an_author_s_derivative_over_known_blocks_is_known_and_stays_whole():
    @jax.custom_vjp
    def halved(x):
        return x @ W

    halved.defvjp(lambda x: (x @ W, None), lambda _, g: (g @ W.T / 2,))
    placement = place_rules(lambda x: halved(x).sum(), X, [(OfKind("dot", "reduce_sum"), KEEP)], unknown="raise")
    np.testing.assert_allclose(
        jax.grad(placement.value)(X), jnp.ones_like(X) @ W.T / 2, **tol(np.float32, terms=4, scale=4)
    )

    @jax.custom_vjp
    def rounded(x):
        return jnp.round(x)

    rounded.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))
    with pytest.raises(InputError, match="no rule"):
        place_rules(lambda x: rounded(x @ W), X, [(OfKind("dot"), KEEP)], unknown="raise")


def test_an_opaque_call_is_refused_by_name():
    def called(x):
        return jax.pure_callback(np.asarray, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="sequential")

    with pytest.raises(InputError, match="opaque call 'pure_callback'"):
        place_rules(lambda x: called(x @ W), X, [(OfKind("dot"), KEEP)], unknown="raise")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.stack([x, 2 * x]),
        lambda x: jnp.tile(x, (2, 1, 1)),
        lambda x: jnp.roll(x, 1, axis=0),
        lambda x: jax.image.resize(x, (12, 12, 4), "bilinear"),
        lambda x: x.at[0].set(1.0).at[1:2].add(x[2:3]),
        lambda x: jnp.cumsum(x, axis=0),
        lambda x: jnp.fft.fft(x, axis=0).real,
        lambda x: x.astype(jnp.bfloat16).astype(jnp.float32),
        lambda x: jax.jit(lambda x: jnp.split(x, 2)[0])(x),
        lambda x: jnp.where(jnp.arange(6).reshape(6, 1, 1) > 2, x, 0.0),
    ],
)
def test_what_moves_and_adds_is_known_to_be_linear(f):
    placement = place_rules(f, X, [(Linear(), KEEP)], unknown="raise")
    assert not placement.acting


def test_an_exported_call_is_refused_by_name():
    exported = jax.export.export(jax.jit(jnp.sin))(jax.ShapeDtypeStruct((6, 6, 4), jnp.float32))
    with pytest.raises(InputError, match="opaque call 'call_exported'"):
        place_rules(lambda x: exported.call(x @ W), X, [(OfKind("dot"), KEEP)], unknown="raise")


def test_what_has_no_derivative_needs_no_rule():
    slopes = jnp.arange(4.0).reshape(1, 1, 4)
    place_rules(lambda x: jnp.where(x > 0, x, slopes * x), X, [(Linear(), KEEP)], unknown="raise")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.where(x > 0, 1.0, 0.0).sum() + x.sum(),
        lambda x: ((x > 0.5).astype(jnp.float32) * x).sum(),
        lambda x: x.astype(jnp.int32).astype(jnp.float32).sum() + x.sum(),
    ],
)
def test_numbers_made_from_truth_values_and_integers_need_a_rule(f):
    with pytest.raises(InputError, match=r"no rule for the operation '(select_n|convert_element_type)'"):
        place_rules(f, X, [(Linear(), KEEP), (OfKind("bilinear"), KEEP)], unknown="raise")
    place_rules(f, X, [(Linear(), KEEP)])


def test_a_line_of_the_user_is_named_for_what_the_library_calls_inside():
    with pytest.raises(InputError, match=r"'sort' \(.*test_blocks.py"):
        place_rules(lambda x: jnp.sort(x @ W).sum(), X, [(Linear(), KEEP)], unknown="raise")
