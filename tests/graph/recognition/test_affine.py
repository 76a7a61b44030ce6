"""Affine runs: what belongs to one, what ends it, and that it is affine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax import lax

from jaxplain import Logit, Score, from_linen
from jaxplain.graph.recognition.affine import affine_report, affine_runs
from jaxplain.graph.trace import trace
from jaxplain.graph.walk import OnRun, evaluate
from jaxplain.testing import tol

X = jax.random.normal(jax.random.key(0), (6, 6, 2))
W = jax.random.normal(jax.random.key(1), (4, 4))


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Conv(3, (3, 3), name="conv")(x)
        x = linen.relu(linen.BatchNorm(use_running_average=True, name="norm")(x))
        x = linen.Conv(4, (3, 3), use_bias=False, name="bare")(x)
        scale = self.param("scale", linen.initializers.normal(), (1, 1, 1, 4))
        x = linen.relu(x * scale + x.mean())
        return linen.Dense(5, name="head")(x.mean((1, 2)))


def score():
    module = Net()
    variables = module.init(jax.random.key(2), X[None])
    return Score(from_linen(module, variables), Logit(1))


def parts(f, x):
    return [run.parts for run in affine_runs(trace(f, x))]


def test_normalization_and_bias_belong_to_the_run():
    runs = affine_runs(trace(score(), X))
    assert [(run.path, run.parts) for run in runs] == [
        ("conv", ("conv", "add", "sub", "mul", "add")),
        ("bare", ("conv",)),  # its value is used twice
        ("head", ("dot", "add")),
    ]
    assert "conv  conv + add + sub + mul + add  [1,6,6,3]" in affine_report(score(), X)


def test_evaluated_as_one_block_the_value_is_the_same_and_the_block_affine():
    traced = trace(score(), X)
    seen = []

    def act(run):
        def evaluated(*inputs):
            seen.append((run, inputs))
            return run(*inputs)

        return lambda inputs, port: (evaluated(*inputs), None)

    actions = {one.site: OnRun(one.run, act(one.run)) for one in affine_runs(traced)}
    (got,), _ = evaluate(traced.program, traced.inputs(X), actions)
    assert got == score()(X) and len(seen) == 3
    run, inputs = seen[0]
    (place,) = (k for k, value in enumerate(inputs) if value.shape == (1, 6, 6, 2))

    def block(x):
        return run(*inputs[:place], x, *inputs[place + 1 :])[0]

    a, b = inputs[place], jnp.flip(inputs[place], 1)
    want = 2 * block(a) - 3 * block(b) + 2 * block(jnp.zeros_like(a))
    np.testing.assert_allclose(block(2 * a - 3 * b), want, **tol(np.float32, terms=100, scale=10))


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (lambda x: jnp.tanh(x @ W + 1.0), [("dot", "add")]),
        (lambda x: 1.0 / (x @ W), [("dot",)]),
        (lambda x: -(1.0 - x @ W) / 3.0, [("dot", "sub", "neg", "div")]),
        (lambda x: (x @ W).astype(jnp.bfloat16) * 2, [("dot", "convert_element_type", "mul")]),
        (lambda x: (x @ W) * x, [("dot",)]),
        (lambda x: jnp.outer(x, x) @ (W @ W), [("dot",)]),
        (lambda x: jax.checkpoint(lambda h: jnp.tanh(h @ W * 2.0))(x), [("dot", "mul")]),
        (lambda x: lax.scan(lambda h, w: (jnp.tanh(h @ w + 1.0), None), x, W[None])[0], [("dot", "add")]),
    ],
)
def test_where_runs_end(f, want):
    assert parts(f, jnp.ones(4)) == want
