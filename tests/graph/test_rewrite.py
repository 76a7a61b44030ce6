"""Rewritten functions: equal values, derivatives changed where a rule fires and nowhere else."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax import lax, nn
from jax.ad_checkpoint import checkpoint_name
from jax.test_util import check_grads

from jaxplain import InputError, Logit, Score, audit, from_linen, from_nnx, layers, rewrite, tap
from jaxplain._pytree import pytree
from jaxplain.graph.composites.relu import DECONVNET, GUIDED
from jaxplain.graph.predicates import AtPath, OfKind
from jaxplain.testing import relu_network, tol
from jaxplain.testing.networks import images

W = [jnp.asarray(np.random.default_rng(k).normal(size=(4, 4)).astype(np.float32)) for k in range(3)]
X = jnp.asarray(np.random.default_rng(9).normal(size=(4,)).astype(np.float32))


@dataclass(frozen=True)
class Times:
    """Multiply the block's own pull-back by a number: exact to check, whatever the block."""

    factor: float
    name: str = "times"

    def backward(self, call, cotangents):
        return tuple(self.factor * cotangent for cotangent in call.pull(cotangents))


TRIPLE = ((OfKind("relu"), Times(3.0)),)


def chain(activation):
    def f(x):
        return jnp.sum(activation(activation(x @ W[0]) @ W[1]) ** 2)

    return f


def unrolled_guided(x, weights=W):
    """Return guided backpropagation of ``chain`` by hand."""
    a = x @ weights[0]
    b = nn.relu(a) @ weights[1]
    g = nn.relu(2 * nn.relu(b)) * jnp.heaviside(b, 0.0)
    return (nn.relu(g @ weights[1].T) * jnp.heaviside(a, 0.0)) @ weights[0].T


WRITTEN = {
    "one relu, reused": nn.relu,
    "function": lambda x: jnp.maximum(x, 0),
    "where": lambda x: jnp.where(x > 0, x, 0),
    "in jit": jax.jit(lambda x: nn.relu(x)),
    "in remat": jax.checkpoint(nn.relu),
    "in place": lambda x: jnp.zeros_like(x).at[:].set(nn.relu(x)),
    "in cond": lambda x: lax.cond(x.sum() > -1e9, nn.relu, jnp.tanh, x),
    "in a scan of one step": lambda x: lax.scan(lambda h, _: (nn.relu(h), None), x, None, length=1)[0],
    "in a custom rule": jax.custom_jvp(lambda x: nn.relu(x) + 0 * jnp.sum(x)),
}
WRITTEN["in a custom rule"].defjvp(lambda x, dx: (nn.relu(x[0]), 7 * dx[0]))


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_every_way_to_write_it(name, wrap):
    f = chain(WRITTEN[name])
    value, gradient = wrap(jax.value_and_grad(rewrite(f, GUIDED)))(X)
    assert value == wrap(f)(X)
    np.testing.assert_allclose(gradient, unrolled_guided(X), **tol(np.float32, terms=16, scale=10))


def test_vmap_equals_a_loop():
    batch = jnp.stack([X, -X, 2 * X + 1])
    pull = jax.grad(rewrite(chain(nn.relu), GUIDED))
    loop = jnp.stack([pull(x) for x in batch])
    np.testing.assert_allclose(jax.vmap(pull)(batch), loop, **tol(np.float32, terms=16, scale=10))


def test_scan_over_layers_equals_the_unrolled_loop():
    stacked = jnp.stack(W)

    def scanned(x):
        return lax.scan(lambda h, w: (nn.relu(h @ w), None), x, stacked)[0].sum()

    def unrolled(x):
        for w in W:
            x = nn.relu(x @ w)
        return x.sum()

    for wrap in (lambda f: f, jax.checkpoint):
        got, want = (jax.grad(rewrite(wrap(f), GUIDED))(X) for f in (scanned, unrolled))
        np.testing.assert_allclose(got, want, **tol(np.float32, terms=64, scale=10))
    (row,) = [row for row in audit(scanned, X, GUIDED).rows if row.block.kind == "relu"]
    assert row.rule == "guided" and row.block.position is None


def test_only_the_matched_block_changes():
    def f(x):
        return jnp.sum(nn.relu(x)) + jnp.sum(jnp.tanh(x)) + jnp.sum(nn.silu(x))

    own = [jax.grad(lambda x, g=g: g(x).sum())(X) for g in (nn.relu, jnp.tanh, nn.silu)]
    np.testing.assert_allclose(jax.grad(rewrite(f, TRIPLE))(X), 3 * own[0] + own[1] + own[2], rtol=1e-6)
    first = ((lambda block: block.position == 0, Times(2.0)), *TRIPLE)
    np.testing.assert_allclose(jax.grad(rewrite(f, first))(X), 2 * own[0] + own[1] + own[2], rtol=1e-6)


def test_residual_sum_around_an_inlined_activation():
    rules = ((OfKind("gelu"), Times(3.0)),)
    got = jax.grad(rewrite(lambda x: jnp.sum(x + nn.gelu(x)), rules))(X)
    want = 1 + 3 * jax.grad(lambda x: nn.gelu(x).sum())(X)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_custom_rule_without_a_match_stays_whole():
    """A straight-through estimator keeps its derivative, and relu'(0) stays 0, beside a rule that fires elsewhere."""

    @jax.custom_vjp
    def binary(x):
        return jnp.sign(x) * jnp.tanh(3.0)

    binary.defvjp(lambda x: (binary(x), None), lambda _, g: (g,))
    rules = ((OfKind("softplus"), Times(5.0)),)

    def f(x):
        return jnp.sum(binary(x) + nn.relu(x * 0) + nn.softplus(x))

    got = jax.grad(rewrite(f, rules))(X)
    np.testing.assert_allclose(got, 1 + 5 * nn.sigmoid(X), rtol=1e-5)
    assert "custom gradient" in {row.rule for row in audit(f, X, rules).rows}


def test_audit_shows_what_rewrite_does():
    @jax.custom_jvp
    def author(x):
        return jnp.sum(nn.relu(x)) * jnp.ones(3)

    author.defjvp(lambda x, dx: (author(x[0]), jnp.sum(dx[0]) * jnp.ones(3)))
    plain = [(row.block.kind, row.rule) for row in audit(lambda x: author(x).sum(), X).rows]
    entered = [(row.block.kind, row.rule) for row in audit(lambda x: author(x).sum(), X, TRIPLE).rows]
    assert plain[0] == ("custom_jvp_call", "custom gradient") and "relu" not in dict(plain)
    assert entered[0] == ("relu", "times") and "custom_jvp_call" not in dict(entered)
    np.testing.assert_allclose(jax.grad(rewrite(lambda x: author(x).sum(), TRIPLE))(X), 9 * np.heaviside(X, 0))


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(3, (3, 3), name="conv")(x))
        x = linen.relu(linen.Conv(2, (3, 3), strides=2, name="strided")(x))
        return linen.Dense(5, name="head")(x.reshape(x.shape[0], -1))


class NnxNet(nnx.Module):
    def __init__(self, params):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(1, 3, (3, 3), rngs=rngs)
        self.strided = nnx.Conv(3, 2, (3, 3), strides=2, rngs=rngs)
        self.head = nnx.Linear(18, 5, rngs=rngs)
        for name in ("conv", "strided", "head"):
            module = getattr(self, name)
            module.kernel = nnx.Param(params[name]["kernel"])
            module.bias = nnx.Param(params[name]["bias"])

    def __call__(self, x):
        x = nnx.relu(self.strided(nnx.relu(self.conv(x))))
        return self.head(x.reshape(x.shape[0], -1))


def bare(params, x):
    def conv(x, p, stride):
        numbers = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(x, p["kernel"], (stride, stride), "SAME", dimension_numbers=numbers)
        return y + p["bias"].reshape(1, 1, 1, -1)

    x = nn.relu(conv(nn.relu(conv(x, params["conv"], 1)), params["strided"], 2))
    x = x.reshape(x.shape[0], -1)
    return x @ params["head"]["kernel"] + params["head"]["bias"].reshape(1, -1)


@pytest.mark.parametrize("rules", [GUIDED, DECONVNET], ids=["guided", "deconvnet"])
def test_frameworks_agree(rules):
    x = jnp.asarray(np.random.default_rng(3).normal(size=(6, 6, 1)).astype(np.float32))
    module = LinenNet()
    variables = module.init(jax.random.key(0), x[None])
    params = variables["params"]
    linen_model, nnx_model = from_linen(module, variables), from_nnx(NnxNet(params))
    target = Logit(2)
    functions = [Score(linen_model, target), Score(nnx_model, target), lambda x: bare(params, x[None])[0, 2]]
    maps = [jax.grad(rewrite(f, rules))(x) for f in functions]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], **tol(np.float32, terms=100))
    assert np.abs(maps[0] - jax.grad(functions[0])(x)).max() > 1e-3
    for f in functions:
        assert jax.jit(rewrite(f, rules))(x) == jax.jit(f)(x)


def test_an_equinox_module_is_a_function_like_any_other():
    equinox = pytest.importorskip("equinox")
    net = equinox.nn.MLP(4, "scalar", 5, depth=2, key=jax.random.key(0), activation=nn.relu)

    def by_hand(net, x):
        first, second, last = net.layers
        a = first.weight @ x + first.bias
        b = second.weight @ nn.relu(a) + second.bias
        g = nn.relu(last.weight[0]) * jnp.heaviside(b, 0.0)
        return (nn.relu(g @ second.weight) * jnp.heaviside(a, 0.0)) @ first.weight

    guided = equinox.filter_jit(lambda net, x: jax.grad(rewrite(net, GUIDED))(x))
    np.testing.assert_allclose(guided(net, X), by_hand(net, X), **tol(np.float32, terms=16, scale=2))


def test_weights_receive_their_true_derivative(x64):
    """Of a value, where no cotangent is changed after them; of a map, against finite differences."""
    weights = [jnp.asarray(w, jnp.float64) for w in W]
    x = jnp.asarray(X, jnp.float64)

    def network(weights, x):
        return jnp.sum(nn.relu(nn.relu(x @ weights[0]) @ weights[1]) @ weights[2])

    @jax.jit
    def penalty(weights):
        f = jax.tree_util.Partial(network, weights)
        return jnp.sum(jax.grad(rewrite(f, GUIDED))(x) ** 3)

    check_grads(penalty, (weights,), order=1, modes=["rev"], eps=1e-6, rtol=1e-6)
    last = jax.grad(lambda w: rewrite(jax.tree_util.Partial(network, [*weights[:2], w]), GUIDED)(x))(weights[2])
    np.testing.assert_allclose(last, jax.grad(lambda w: network([*weights[:2], w], x))(weights[2]))
    assert np.abs(jax.grad(penalty)(weights)[0]).max() > 0


def test_weights_of_a_block_with_a_rule(x64):
    """A matrix product with a rule: its input's cotangent follows the rule, its weights' the truth."""
    x, w = jnp.asarray(X, jnp.float64), jnp.asarray(W[0], jnp.float64)
    rules = ((OfKind("dot"), Times(3.0)),)
    f = jax.tree_util.Partial(lambda w, x: jnp.sum(jnp.sin(x @ w)))
    of_w, of_x = jax.grad(lambda w, x: rewrite(jax.tree_util.Partial(f, w), rules)(x), argnums=(0, 1))(w, x)
    want_w, want_x = jax.grad(f, argnums=(0, 1))(w, x)
    np.testing.assert_allclose(of_w, want_w)
    np.testing.assert_allclose(of_x, 3 * want_x)


def test_the_derivative_by_weights_is_traced_where_it_is_asked_for_alone():
    """By the input alone a product with a rule is there three times: forward, and in the rule forward and back."""

    def network(weights, x):
        f = jax.tree_util.Partial(lambda w, x: jnp.sum(jnp.sin(x @ w)), weights)
        return rewrite(f, ((OfKind("dot"), Times(3.0)),))(x)

    def products(by):
        return str(jax.make_jaxpr(jax.grad(network, argnums=by))(W[0], X)).count("dot_general[")

    assert products(by=1) == 3 < products(by=(0, 1))


def test_dropout_keys_and_indices_pass_by():
    """Inputs of a block that are keys or integers have no cotangent."""

    def f(x):
        kept = jax.random.bernoulli(jax.random.key(1), 0.5, x.shape)
        return jnp.sum(jnp.take(jnp.where(kept, nn.relu(x), 0) ** 2, jnp.array([0, 2, 2])))

    every = ((lambda block: block.kind not in ("reduce_sum",), Times(1.0)),)
    np.testing.assert_allclose(jax.grad(rewrite(f, every))(X), jax.grad(f)(X), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(rewrite(f, every)))(X), jax.grad(f)(X), rtol=1e-6)


def test_a_model_stands_for_its_outputs():
    x = jnp.asarray(images(1)[0])
    np.testing.assert_array_equal(rewrite(relu_network(), GUIDED)(x), relu_network()(x[None])[0])


def test_arrays_of_a_rule_are_traced():
    @pytree
    class Scaled:
        factor: jax.Array

        def backward(self, call, cotangents):
            return tuple(self.factor * cotangent for cotangent in call.pull(cotangents))

    @jax.jit
    def total(factor):
        return jax.grad(rewrite(chain(nn.relu), ((OfKind("relu"), Scaled(factor)),)))(X).sum()

    plain = jax.grad(chain(nn.relu))(X).sum()
    np.testing.assert_allclose(total(jnp.float32(2.0)), 4 * plain, rtol=1e-5)
    np.testing.assert_allclose(jax.grad(total)(jnp.float32(2.0)), 4 * plain, rtol=1e-5)


def test_walkers_find_the_blocks_of_a_rewritten_function():
    f = Score(relu_network(), Logit(1))
    x = jnp.asarray(images(1)[0])
    again = rewrite(f, GUIDED)
    kinds = [row.block.kind for row in audit(f, x).rows]
    assert [row.block.kind for row in audit(again, x).rows] == kinds
    assert [layer.path for layer in layers(again, x)] == [layer.path for layer in layers(f, x)]
    np.testing.assert_array_equal(tap(again, "features")(x)[1], tap(f, "features")(x)[1])
    np.testing.assert_allclose(
        jax.grad(rewrite(again, TRIPLE))(x), 9 * jax.grad(again)(x), **tol(np.float32, terms=1000, scale=9)
    )


def test_paths_of_a_rewritten_network():
    module = LinenNet()
    x = jnp.ones((6, 6, 1))
    f = Score(from_linen(module, module.init(jax.random.key(0), x[None])), Logit(0))
    again = rewrite(f, ((OfKind("conv"), Times(1.0)),))
    assert [layer.path for layer in layers(again, x)] == [layer.path for layer in layers(f, x)]
    chosen = ((AtPath("^strided", ("conv",)), Times(2.0)),)
    rows = [(row.block.path, row.rule) for row in audit(f, x, chosen).rows if row.block.kind == "conv"]
    assert rows == [("conv", "gradient"), ("strided", "times")]
    np.testing.assert_allclose(jax.grad(rewrite(f, chosen))(x), 2 * jax.grad(f)(x), rtol=1e-5, atol=1e-6)


def test_while_loops_have_no_rules():
    def f(x):
        return lax.while_loop(lambda h: h.sum() < -1e9, nn.relu, x).sum()

    with pytest.raises(InputError, match="no block is accepted"):
        rewrite(f, GUIDED)(X)


def test_refusals():
    f = chain(jnp.tanh)
    with pytest.raises(InputError, match=r"OfKind\('relu', 'relu6'\).*consists of.*dot.*tanh"):
        rewrite(f, GUIDED)(X)
    with pytest.raises(InputError, match="unknown kind of block 'tnah'; did you mean 'tanh'"):
        rewrite(f, ((OfKind("tnah"), Times(1.0)),))(X)
    with pytest.raises(InputError, match="unknown kind of block 'tnah'"):
        audit(f, X, ((OfKind("tnah"), Times(1.0)),))
    with pytest.raises(TypeError, match="no pair"):
        rewrite(f, ((OfKind("tanh"), "guided"),))

    @dataclass(frozen=True)
    class Wrong:
        def backward(self, call, cotangents):
            return (cotangents[0].sum(),)

    with pytest.raises(TypeError, match=r"Wrong returned cotangents.*at the block tanh.*test_rewrite"):
        jax.grad(rewrite(f, ((OfKind("tanh"), Wrong()),)))(X)


def test_forward_mode_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"no forward-mode derivative; use jax.grad"):
        jax.jvp(rewrite(chain(nn.relu), GUIDED), (X,), (X,))
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(jax.jit(rewrite(chain(nn.relu), GUIDED)), (X,), (X,))


def test_no_rules_change_nothing():
    f = chain(lambda x: checkpoint_name(nn.relu(x), "a"))
    np.testing.assert_array_equal(jax.grad(rewrite(f, ()))(X), jax.grad(f)(X))
