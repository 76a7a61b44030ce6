"""Composites: which rule a block receives, what is refused, and that BatchNorm needs no canonizer."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax

from jaxplain import InputError, Logit, Score, audit, from_linen
from jaxplain.graph.predicates import AtPath, OfKind, ReadsInput
from jaxplain.graph.rules import KEEP
from jaxplain.methods import lrp
from jaxplain.methods.lrp import COMMON, Epsilon, Flat, Gamma, WSquare, ZBox, ZPlus, named
from jaxplain.methods.lrp.composites import NAMES
from jaxplain.testing import tol
from jaxplain.testing.architectures import ARCHITECTURES

NETWORKS = {network.name: network for network in ARCHITECTURES}


class Net(linen.Module):
    """Two convolutions, with BatchNorm or with the weights in which it is folded, average pooling and a dense layer."""

    normalized: bool

    @linen.compact
    def __call__(self, x):
        for name in ("stem", "body"):
            x = linen.Conv(4, (3, 3), name=name, use_bias=not self.normalized)(x)
            if self.normalized:
                x = linen.BatchNorm(use_running_average=True, name=f"{name}_norm")(x)
            x = linen.relu(x)
        x = lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4.0
        return linen.Dense(3, name="head")(x.reshape(x.shape[0], -1))


def random(shape, seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def nets():
    """The network with BatchNorm, the same with folded weights, and an image with black pixels."""
    params = {"head": {"kernel": random((36, 3), 1), "bias": random((3,), 2)}}
    folded, statistics = dict(params), {}
    for seed, (name, channels) in enumerate((("stem", 2), ("body", 4))):
        kernel, scale, shift, mean, log = (
            random(shape, 10 * seed + k) for k, shape in enumerate(((3, 3, channels, 4), (4,), (4,), (4,), (4,)))
        )
        params |= {name: {"kernel": kernel}, f"{name}_norm": {"scale": scale, "bias": shift}}
        statistics[f"{name}_norm"] = {"mean": mean, "var": jnp.exp(log)}
        factor = scale / jnp.sqrt(jnp.exp(log) + 1e-5)
        folded[name] = {"kernel": kernel * factor.reshape(1, 1, 1, 4), "bias": shift - mean * factor}
    models = [
        from_linen(Net(True), {"params": params, "batch_stats": statistics}),
        from_linen(Net(False), {"params": folded}),
    ]
    return [Score(model, Logit(1)) for model in models], jnp.abs(random((6, 6, 2), 3)).at[1:3, :4].set(0.0)


@pytest.mark.parametrize("name", NAMES)
def test_batch_normalization_gives_what_folded_weights_give(x64, name):
    (normalized, folded), x = nets()
    got, want = (jax.jit(lambda x, f=f: lrp(f, x, composite=name, low=0.0, high=3.0))(x) for f in (normalized, folded))
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def rules_of(f, x, composite):
    rows = audit(f, x, (*composite, *COMMON)).rows
    return {row.block.path: row.rule for row in rows if row.block.kind in ("conv", "dot")}


@pytest.mark.parametrize(
    ("name", "stem", "body"),
    [
        ("epsilon", "epsilon", "epsilon"),
        ("epsilon_plus", "z-plus", "z-plus"),
        ("epsilon_plus_flat", "flat", "z-plus"),
        ("epsilon_gamma_box", "z-box", "gamma"),
        ("epsilon_alpha2_beta1", "alpha-beta", "alpha-beta"),
        ("epsilon_alpha2_beta1_flat", "flat", "alpha-beta"),
        ("attn_lrp", "epsilon", "epsilon"),
    ],
)
def test_each_layer_receives_its_rule(x64, name, stem, body):
    (f, _), x = nets()
    got = rules_of(f, x, named(name, 0.0, 1.0))
    assert got == {"stem": stem, "body": body, "head": "epsilon"}


def test_predicates_choose_by_kind_path_and_position(x64):
    (_, f), x = nets()
    positions = {row.block.path: row.block.position for row in audit(f, x).rows if row.block.kind == "conv"}
    by_path = ((AtPath("^bo.y$", kinds=("conv",)), ZPlus()), (OfKind("conv"), Gamma()))
    by_position = ((lambda block: block.position == positions["body"], ZPlus()), (OfKind("conv"), Gamma()))
    for own in (by_path, by_position):
        assert rules_of(f, x, own) == {"stem": "gamma", "body": "z-plus", "head": "derivative"}
    maps = [lrp(f, x, composite=own) for own in (by_path, by_position, [*by_path])]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    assert jnp.abs(maps[0] - lrp(f, x, composite=((OfKind("conv"), Gamma()),))).max() > 1e-3


@pytest.mark.parametrize("rule", [Flat(), WSquare(), ZBox(-1.0, 3.0)], ids=lambda rule: rule.name)
def test_black_pixels_have_relevance_under_rules_of_the_first_layer(x64, rule):
    (_, f), x = nets()
    dark = lrp(f, x, composite=((ReadsInput(), rule),))[1:3, :4]
    assert jnp.all(dark != 0)
    assert jnp.all(lrp(f, x, composite="epsilon")[1:3, :4] == 0)


def test_bounds_move_with_the_image():
    """Bounds differ from pixel to pixel, and the network transposes the image and pads it itself."""
    w = jnp.abs(jax.random.normal(jax.random.key(0), (3, 25)))
    x, low, high = jnp.full((4, 3), 0.5), jnp.zeros((4, 3)), jnp.ones((4, 3)).at[0, 1].set(2.0).at[3, 0].set(0.5)

    def f(x):
        moved = jnp.pad(x.T, ((1, 1), (1, 0)), constant_values=1.0)
        return jnp.sum(jax.nn.relu(w @ moved.reshape(-1)))

    got = lrp(f, x, composite=((ReadsInput(), ZBox(low, high)),))
    positions = jnp.pad(jnp.arange(12).reshape(4, 3).T, ((1, 1), (1, 0)), constant_values=-1).reshape(-1)
    order = jnp.argsort(positions)[-12:]
    k = w[:, order] * x.reshape(1, -1)  # all weights are positive and low is zero
    moved = jnp.pad(x.T, ((1, 1), (1, 0)), constant_values=1.0).reshape(-1)
    want = (w @ moved / k.sum(1)) @ k
    np.testing.assert_allclose(got.reshape(-1), want, **tol(jnp.float32, terms=100))
    same = lrp(f, x, composite="epsilon_gamma_box", low=0.0, high=high)
    np.testing.assert_allclose(same, got, **tol(jnp.float32, terms=100))


def test_bounds_are_refused_inside_a_scan():
    def f(x):
        return jnp.sum(jax.lax.scan(lambda total, row: (total + jnp.sum(row @ jnp.ones((3, 2))), None), 0.0, x)[0])

    with pytest.raises(InputError, match="stands in a scan"):
        lrp(f, jnp.ones((4, 3)), composite="epsilon_gamma_box", low=0.0, high=2.0)
    np.testing.assert_allclose(
        lrp(f, jnp.ones((4, 3)), composite="epsilon_plus_flat"), jnp.full((4, 3), 2.0), rtol=1e-6
    )


def test_composites_are_refused_that_cannot_be_meant():
    (f, _), x = nets_in_float32()
    for composite, keywords, words in (
        ("epsilon_pluss", {}, "did you mean 'epsilon_plus'"),
        ("epsilon_gamma_box", {"low": 0.0}, "low= and high= are required"),
        (((OfKind("gelu"), Epsilon()),), {}, "no block is accepted by OfKind('gelu')"),
        ((), {}, "no block is accepted"),
        (((OfKind("convolution"), Epsilon()),), {}, "unknown kind of block 'convolution'"),
        (((OfKind("relu"), ZPlus()),), {}, "the rule z-plus splits contributions by the weights"),
        (((AtPath("body", kinds=("conv",)), Flat()),), {}, "does not read the input itself"),
        (3.0, {}, "composite must be a name or a tuple"),
        ((OfKind("conv"), ZPlus()), {}, "is no pair"),
    ):
        with pytest.raises(InputError) as caught:
            lrp(f, x, composite=composite, **keywords)
        assert words in str(caught.value)
    with pytest.raises(InputError, match="has a rule for the layer that reads the input itself, and none does"):
        lrp(lambda x: f((x - 0.5) / 0.2), x, composite="epsilon_plus_flat")


def nets_in_float32():
    with jax.enable_x64(True):
        functions, x = nets()
    narrow = lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf  # noqa: E731
    return jax.tree.map(lambda leaf: narrow(jnp.asarray(leaf)), (functions, x))


def test_what_no_rule_covers_is_refused_with_its_place():
    w = jnp.ones((3, 3))

    def f(x):
        with jax.named_scope("Strange_0"):
            return jnp.sum(jnp.sin(x @ w))

    with pytest.raises(
        InputError, match=r"lrp: there is no rule for the operation 'sin'.*test_composites\.py"
    ) as caught:
        lrp(f, jnp.ones(3), composite="epsilon")
    assert 'unknown="gradient"' in str(caught.value)
    got = lrp(f, jnp.ones(3), composite=((OfKind("dot"), Epsilon(0.0)),), unknown="gradient")
    np.testing.assert_allclose(got, jax.grad(f)(jnp.ones(3)), rtol=1e-5)

    def calls(x):
        return jnp.sum(jax.pure_callback(np.tanh, jax.ShapeDtypeStruct((3,), jnp.float32), x @ w))

    exported = jax.export.export(jax.jit(jnp.tanh))(jax.ShapeDtypeStruct((3,), jnp.float32))
    for f, words in ((calls, "opaque call 'pure_callback'"), (lambda x: jnp.sum(exported.call(x @ w)), "call")):
        with pytest.raises(InputError, match=rf"{words}.*test_composites\.py"):
            lrp(f, jnp.ones(3), composite="epsilon")


@pytest.mark.parametrize("network", ["convnext", "vit"])
@pytest.mark.parametrize("name", ["epsilon_gamma_box", "epsilon_alpha2_beta1_flat", "attn_lrp"])
def test_every_composite_runs_on_networks_with_attention_and_normalization(network, name):
    architecture = NETWORKS[network]
    f = Score(architecture.model("linen"), Logit(1))
    x = jax.random.uniform(jax.random.key(1), architecture.shape)
    relevance = jax.jit(lambda x: lrp(f, x, composite=name, low=0.0, high=1.0))(x)
    assert relevance.shape == x.shape and jnp.all(jnp.isfinite(relevance)) and jnp.any(relevance != 0)


def test_entries_keep_what_they_are_told_to_keep():
    """A user's entry comes before the common ones."""
    f = lambda x: jnp.sum(jnp.tanh(x) * jnp.array([1.0, -2.0]))  # noqa: E731
    x = jnp.array([0.5, 1.5])
    np.testing.assert_allclose(lrp(f, x, composite=((OfKind("tanh"), KEEP),)), x * jax.grad(f)(x), rtol=1e-6)
    np.testing.assert_allclose(lrp(f, x, composite="epsilon"), jnp.tanh(x) * jnp.array([1.0, -2.0]), rtol=1e-6)
