"""Softmax, normalization layers and averages are found by their structure, however they are written."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from jaxplain import _compat
from jaxplain.graph.flow import steps
from jaxplain.graph.recognition.activations import recognize
from jaxplain.graph.recognition.structures import structures
from jaxplain.graph.trace import trace
from jaxplain.testing import tol

RNG = np.random.default_rng(0)
TOKENS = jnp.asarray(RNG.normal(size=(5, 8)).astype(np.float32))
IMAGE = jnp.asarray(RNG.normal(size=(6, 6, 8)).astype(np.float32))


def found(f, x):
    traced = trace(f, x)
    all_steps = steps(traced)
    return traced, structures(traced, all_steps, recognize(traced, all_steps))


def kinds(f, x=TOKENS):
    return [structure.kind for structure in found(f, x)[1].values()]


def linen(module):
    """A Linen module with random parameters, of one example."""

    def f(x):
        shapes = jax.eval_shape(module.init, jax.random.key(0), x[None])
        leaves, tree = jax.tree.flatten(shapes)
        keys = jax.random.split(jax.random.key(1), max(1, len(leaves)))
        filled = [jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=False)]
        return module.apply(jax.tree.unflatten(tree, filled), x[None])[0]

    return f


def nnx_of(module):
    """An NNX module of one example; what it holds are constants of the trace."""
    graph, state = nnx.split(module)
    return lambda x: nnx.merge(graph, state)(x[None])[0]


def standardized(x, axes=-1, eps=1e-6):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def in_groups(x, n_groups, eps=1e-6):
    grouped = x.reshape(*x.shape[:-1], n_groups, -1)
    axes = (*range(1, x.ndim - 1), x.ndim)
    return standardized(grouped, axes, eps).reshape(x.shape)


def of_rms(x, eps=1e-6):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps)


def softmax(x, axes=-1):
    powers = np.exp(x - x.max(axes, keepdims=True))
    return powers / powers.sum(axes, keepdims=True)


def by_hand(x):
    return (x - jnp.mean(x, -1, keepdims=True)) / jnp.sqrt(jnp.var(x, -1, keepdims=True) + 1e-6)


def grouped_by_hand(x):
    groups = x.reshape(6, 6, 2, 4)
    mean = groups.mean((0, 1, 3), keepdims=True)
    return ((groups - mean) / jnp.std(groups, (0, 1, 3), keepdims=True)).reshape(x.shape)


def softmax_by_hand(x):
    powers = jnp.exp(x)
    return powers / powers.sum(-1, keepdims=True)


def softmax_by_reciprocal(x):
    powers = jnp.exp(x - x.max(0)[None])
    return powers * (1 / powers.sum(0, keepdims=True))


def averaged(x):
    with jax.numpy_dtype_promotion("standard"):  # Linen divides by an integer
        return nn.avg_pool(x[None], (2, 3), (2, 3))


RNGS = nnx.Rngs(0)
FOUND = {
    "linen LayerNorm": ("layer_norm", linen(nn.LayerNorm()), TOKENS, standardized),
    "linen LayerNorm, slow": ("layer_norm", linen(nn.LayerNorm(use_fast_variance=False)), TOKENS, standardized),
    "linen LayerNorm, bare": ("layer_norm", linen(nn.LayerNorm(use_bias=False, use_scale=False)), TOKENS, standardized),
    "linen LayerNorm of an image": ("layer_norm", linen(nn.LayerNorm()), IMAGE, standardized),
    "linen RMSNorm": ("rms_norm", linen(nn.RMSNorm()), TOKENS, of_rms),
    "linen GroupNorm": ("group_norm", linen(nn.GroupNorm(2)), IMAGE, lambda x: in_groups(x, 2)),
    "linen GroupNorm, slow": (
        "group_norm", linen(nn.GroupNorm(2, use_fast_variance=False)), IMAGE, lambda x: in_groups(x, 2),
    ),
    "linen GroupNorm, one group": ("group_norm", linen(nn.GroupNorm(1)), IMAGE, lambda x: standardized(x, (1, 2, 3))),
    "linen InstanceNorm": ("group_norm", linen(nn.InstanceNorm()), IMAGE, lambda x: standardized(x, (1, 2))),
    "nnx LayerNorm": ("layer_norm", nnx_of(nnx.LayerNorm(8, rngs=RNGS)), TOKENS, standardized),
    "nnx LayerNorm, slow": (
        "layer_norm", nnx_of(nnx.LayerNorm(8, use_fast_variance=False, rngs=RNGS)), TOKENS, standardized,
    ),
    "nnx RMSNorm": ("rms_norm", nnx_of(nnx.RMSNorm(8, rngs=RNGS)), TOKENS, of_rms),
    "nnx GroupNorm": ("group_norm", nnx_of(nnx.GroupNorm(8, 4, rngs=RNGS)), IMAGE, lambda x: in_groups(x, 4)),
    "nnx GroupNorm, slow": (
        "group_norm", nnx_of(nnx.GroupNorm(8, 4, use_fast_variance=False, rngs=RNGS)), IMAGE, lambda x: in_groups(x, 4),
    ),
    "nnx InstanceNorm": (
        "group_norm", nnx_of(nnx.InstanceNorm(8, rngs=RNGS)), IMAGE, lambda x: standardized(x, (1, 2)),
    ),
    "layer norm by hand": ("layer_norm", by_hand, TOKENS, standardized),
    "layer norm by standardize": ("layer_norm", jax.nn.standardize, TOKENS, None),
    "layer norm by std": (
        "layer_norm", lambda x: (x - x.mean(1)[:, None]) / (x.std(1)[:, None] + 1e-6), TOKENS,
        lambda x: (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-6),
    ),
    "layer norm, scaled first": (
        "layer_norm", lambda x: 3 * (x - x.mean(-1, keepdims=True)) * (x.var(-1, keepdims=True) + 1e-6) ** -0.5, TOKENS,
        lambda x: 3 * standardized(x),
    ),
    "group norm by hand": ("group_norm", grouped_by_hand, IMAGE, lambda x: standardized(x, (0, 1, 3), 0)),
    "rms norm by hand": (
        "rms_norm", lambda x: x / jnp.sqrt(jnp.mean(x**2, -1, keepdims=True) + 1e-6), TOKENS, of_rms,
    ),
    "rms norm by rsqrt": (
        "rms_norm", lambda x: x * lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6), TOKENS, of_rms,
    ),
    "unit length": (
        "rms_norm", lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True), TOKENS,
        lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True),
    ),
    "unit length, safely": (
        "rms_norm", lambda x: x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), 1e-6), TOKENS, lambda x: x / np.linalg.norm(x),
    ),
    "softmax": ("softmax", jax.nn.softmax, TOKENS, softmax),
    "softmax over an inner axis": ("softmax", lambda x: jax.nn.softmax(x, 0), TOKENS, lambda x: softmax(x, 0)),
    "softmax over several axes": ("softmax", lambda x: jax.nn.softmax(x, (0, 2)), IMAGE, lambda x: softmax(x, (0, 2))),
    "softmax without a shift": ("softmax", softmax_by_hand, TOKENS, softmax),
    "softmax by reciprocal": ("softmax", softmax_by_reciprocal, TOKENS, lambda x: softmax(x, 0)),
    "softmax shifted by the largest of all": (
        "softmax", lambda x: softmax_by_hand(x - lax.stop_gradient(x.max())), TOKENS, softmax,
    ),
    "average pooling": ("avg_pool", averaged, IMAGE, None),
    "average pooling of what is there": (
        "avg_pool", lambda x: nn.avg_pool(x[None], (3, 3), (2, 2), "SAME", False), IMAGE, None,
    ),
    "mean": ("mean", lambda x: jnp.mean(x, (0, 1)), IMAGE, lambda x: x.mean((0, 1))),
    "mean that keeps its axes": (
        "mean", lambda x: jnp.mean(x, (0, 1), keepdims=True), IMAGE, lambda x: x.mean((0, 1), keepdims=True),
    ),
    "mean by a factor": ("mean", lambda x: jnp.sum(x, -1) * 0.125, TOKENS, lambda x: x.mean(-1)),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_found(name):
    kind, f, x, _ = FOUND[name]
    assert kinds(f, x) == [kind]
    assert kinds(lambda x: 1 + f(jnp.tanh(2 * x)) ** 2, x) == [kind]


def values_of(traced, x):
    """The value of every variable of a program."""
    program = traced.program
    values = dict(zip(program.inputs, traced.inputs(x), strict=True))
    values |= dict(zip(program.constants, program.values, strict=True))
    for equation in program.equations:
        operands = [atom.val if _compat.is_literal(atom) else values[atom] for atom in equation.invars]
        values.update(zip(equation.outvars, _compat.bind(equation, operands), strict=True))
    return values


def observed(f, x):
    """The one structure of a function, the variable it builds on, all values of the program, and what it computes."""
    traced, result = found(f, x)
    (structure,) = result.values()
    values = values_of(traced, x)
    last = structure.run.equations[-1].outvars[0]
    depends = {variable for step in steps(traced) if step.depends for variable in step.equation.outvars}
    (source,) = {*structure.run.inputs} & {*depends, traced.program.inputs[-1]}
    np.testing.assert_array_equal(structure.run(*(values[one] for one in structure.run.inputs))[0], values[last])
    return structure, source, values, np.asarray(values[last])


@pytest.mark.parametrize("name", [name for name, case in FOUND.items() if case[3] is not None])
def test_the_run_computes_what_its_kind_says(name):
    """What depends on the input is one value, and the run is NumPy's function of it, up to the layer's own scale."""
    kind, f, x, reference = FOUND[name]
    structure, source, values, got = observed(f, x)
    weights = [values[one] for one in structure.run.inputs if one is not source]
    scale = [np.ravel(weight) for weight in weights if np.size(weight) == x.shape[-1]] if kind.endswith("norm") else []
    want = reference(np.asarray(values[source])) * (scale[0] if scale else 1)
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=x.size, scale=float(np.abs(want).max())))


@pytest.mark.parametrize("name", [name for name, case in FOUND.items() if case[0].endswith("_norm") and case[3]])
def test_with_its_statistic_held_a_normalization_is_linear(name):
    _, f, x, _ = FOUND[name]
    structure, source, values, got = observed(f, x)
    held = values[structure.statistic]
    tripled = {**values, source: values[source] * 3}
    for equation in structure.run.equations:
        operands = [atom.val if _compat.is_literal(atom) else tripled[atom] for atom in equation.invars]
        tripled.update(zip(equation.outvars, _compat.bind(equation, operands), strict=True))
        tripled[structure.statistic] = held
    last = structure.run.equations[-1].outvars[0]
    np.testing.assert_allclose(tripled[last], 3 * got, **tol(np.float32, terms=x.size, scale=float(np.abs(got).max())))


NOT_FOUND = {
    "silu by hand": lambda x: x * jax.nn.sigmoid(x),
    "silu called": jax.nn.silu,
    "exponentials over a sum of others": lambda x: jnp.exp(x) / jnp.exp(2 * x).sum(-1, keepdims=True),
    "exponentials over a sum of other rows": lambda x: jnp.exp(x[:5, :5]) / jnp.exp(x[:5, :5]).sum(-1)[None],
    "a scale from elsewhere": lambda x: x[:, :4] * lax.rsqrt(jnp.sum(x[:, 4:] ** 2, -1, keepdims=True)),
    "a scale from another function": lambda x: x * lax.rsqrt(jnp.sum(jnp.sin(x) ** 2, -1, keepdims=True)),
    "a scale of other rows": lambda x: x[:5, :5] * lax.rsqrt(jnp.sum(x[:5, :5] ** 2, -1))[None],
    "entry by entry": lambda x: x / jnp.sqrt(x**2 + 1),
    "over an axis of length one": lambda x: x[None] / jnp.sqrt(jnp.sum(x[None] ** 2, 0, keepdims=True)),
    "a square in the numerator": lambda x: x**2 / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True)),
    "an offset in the numerator": lambda x: (x + 1) / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True)),
    "divided by the square": lambda x: x / jnp.sum(x**2, -1, keepdims=True),
    "statistics over two sets of axes": lambda x: (
        (x - jnp.sum(x, 0)[None]) / jnp.sqrt(jnp.sum(x**2, -1, keepdims=True))
    ),
    "divided by the sum": lambda x: x / jnp.sum(x, -1, keepdims=True),
    "a sum": lambda x: jnp.sum(x, -1) / 3,
    "a number over the sum": lambda x: 8 / jnp.sum(x, -1),
    "the exponentials too": lambda x: (lambda e: (e / e.sum(-1, keepdims=True), e))(jnp.exp(x)),
}


@pytest.mark.parametrize("name", NOT_FOUND)
def test_not_found(name):
    assert kinds(NOT_FOUND[name]) == []


def test_of_a_residual_sum_the_normalization_alone_is_one():
    traced, result = found(lambda x: x + by_hand(x), TOKENS)
    (structure,) = result.values()
    assert structure.kind == "layer_norm"
    assert traced.program.equations[-1] not in structure.run.equations


def test_a_mean_beside_a_normalization_and_one_inside():
    """The mean inside belongs to the layer; where its value is used outside too, the layer is no closed block."""
    assert kinds(lambda x: by_hand(x).mean(-1)) == ["layer_norm", "mean"]

    def open_one(x):
        mean = jnp.mean(x, -1, keepdims=True)
        return (x - mean) / jnp.sqrt(jnp.mean((x - mean) ** 2, -1, keepdims=True)) + mean

    assert "layer_norm" not in kinds(open_one)


def test_a_mask_lies_outside_of_the_softmax():
    mask = jnp.arange(8) < 6
    _, result = found(lambda x: jax.nn.softmax(jnp.where(mask[None], x, -1e9)), TOKENS)
    (structure,) = result.values()
    names = [equation.primitive.name for equation in structure.run.equations]
    assert structure.kind == "softmax" and "select_n" not in names and "reduce_max" in names


def test_a_shift_used_elsewhere_lies_outside_of_the_softmax():
    def f(x):
        largest = jnp.max(x, -1, keepdims=True)
        return softmax_by_hand(x - largest) + largest

    (structure,) = found(f, TOKENS)[1].values()
    assert structure.kind == "softmax" and structure.run.equations[0].primitive.name == "exp"


def test_a_softmax_that_is_recognized_by_name_stays_an_activation():
    @jax.jit
    def softmax(x):
        return softmax_by_hand(x)

    traced = trace(softmax, TOKENS)
    activations = recognize(traced, steps(traced))
    assert [one.kind for one in activations.values()] == ["softmax"]
    assert structures(traced, steps(traced), activations) == {}


def test_the_relu_of_a_fast_variance_belongs_to_the_layer():
    """As an activation it would be one of its own."""
    f = linen(nn.LayerNorm())
    traced, result = found(f, TOKENS)
    (structure,) = result.values()
    ((site, activation),) = recognize(traced, steps(traced)).items()
    assert activation.kind == "relu" and site[-1] in structure.run.positions


@pytest.mark.usefixtures("standard_promotion")
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_found_in_half_precision(dtype):
    """Flax takes statistics in float32, of a copy."""
    x = TOKENS.astype(dtype)
    assert kinds(linen(nn.LayerNorm(dtype=dtype)), x) == ["layer_norm"]
    assert kinds(linen(nn.RMSNorm(dtype=dtype)), x) == ["rms_norm"]
    assert kinds(jax.nn.softmax, x) == ["softmax"] and kinds(lambda x: jnp.mean(x, -1), x) == ["mean"]


def test_found_in_every_body_and_under_every_transformation():
    def f(x):
        x, _ = lax.scan(lambda h, _: (by_hand(h), None), x, None, length=2)
        x = lax.cond(x.sum() > 0, jax.nn.softmax, softmax_by_hand, x)
        x = jax.checkpoint(linen(nn.LayerNorm()))(jax.jit(by_hand)(x))
        return jnp.mean(x, -1)

    once = ["layer_norm", "softmax", "softmax", "layer_norm", "layer_norm", "mean"]
    seen = []
    jax.jit(lambda x: (seen.append(kinds(f, x)), x)[1])(TOKENS)
    jax.vmap(lambda x: (seen.append(kinds(f, x)), x)[1])(TOKENS[None])
    jax.grad(lambda x: (seen.append(kinds(f, x)), x.sum())[1])(TOKENS)
    assert seen == [once] * 3


ATTENTION = {
    "linen": linen(nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=8)),
    "nnx": nnx_of(nnx.MultiHeadAttention(2, 8, 8, decode=False, rngs=RNGS)),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_of_an_attention_layer_only_affine_operations_and_the_products_are_left(name):
    """Four projections with biases, two products of attention, the logits' scale and changes of shape."""
    traced, result = found(ATTENTION[name], TOKENS)
    (structure,) = result.values()
    inside = set(structure.run.positions)
    left = [step.equation.primitive.name for step in steps(traced) if step.depends and step.site[-1] not in inside]
    assert structure.kind == "softmax"
    assert set(left) <= {"dot_general", "add", "mul", "div", "reshape", "transpose", "broadcast_in_dim", "squeeze"}
    assert left.count("dot_general") == 6 and left.count("add") == 4
