"""The reading of equations, in both class layouts of a jaxpr."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import _compat
from jaxplain.graph.forward import forwarded
from jaxplain.graph.walk import evaluate

X = jnp.arange(3.0)


def several(x):
    x = jax.checkpoint(jnp.sin)(jax.nn.relu(x))
    x, sums = jax.lax.scan(lambda h, w: (h * w, h.sum()), x, jnp.array([2.0, 3.0]), reverse=True)
    x = jax.lax.cond(sums[0] > 0, jnp.cos, jnp.tanh, x)
    return jax.lax.while_loop(lambda h: h.sum() < 5, lambda h: h + 1.0, x), sums


def test_one_class_for_open_and_closed():
    """From JAX 0.11 on a jaxpr carries its constants and returns itself as ``.jaxpr``."""
    closed = jax.make_jaxpr(lambda x: x * jnp.arange(3.0) + np.arange(3, dtype=np.float32))(X)
    one = SimpleNamespace(
        invars=closed.jaxpr.invars,
        outvars=closed.jaxpr.outvars,
        eqns=closed.jaxpr.eqns,
        constvars=closed.jaxpr.constvars,
        consts=closed.consts,
    )
    one.jaxpr = one
    assert _compat.program(one) == _compat.program(closed)


@pytest.mark.parametrize("sites", ["none", "all"])
def test_evaluation_equals_the_function(sites):
    """Evaluated whole, and entered at every place that can be entered."""
    program, _ = _compat.trace_program(several, X)
    actions = {}
    if sites == "all":
        for position, equation in enumerate(program.equations):
            kind = _compat.kind_of(equation)
            if kind in ("call", "custom", "remat", "scan", "cond"):
                for number in range(len(_compat.bodies_of(equation))):
                    actions[(position, number, 0)] = lambda run, inputs, port: (run(*inputs), None)
    for transform in (lambda f: f, jax.jit):
        outputs, emitted = transform(lambda x: evaluate(program, [x], actions))(X)
        assert not emitted
        for got, want in zip(outputs, several(X), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6)


def test_kinds():
    program, _ = _compat.trace_program(several, X)
    kinds = [_compat.kind_of(equation) for equation in program.equations]
    assert {"custom", "remat", "scan", "cond", "while"} <= set(kinds)


def test_scopes_lose_what_transformations_add():
    def f(x):
        with jax.named_scope("a/b"):
            return jnp.sin(x)

    program, _ = _compat.trace_program(lambda x: jax.vmap(jax.grad(f))(x), X)
    cosines = [equation for equation in program.equations if equation.primitive.name == "cos"]
    assert [_compat.scopes_of(equation) for equation in cosines] == [("a", "b")]
    printed = SimpleNamespace(source_info=SimpleNamespace(name_stack="transpose(jvp(Net))/vmap(b1)/Conv_0"))
    assert _compat.scopes_of(printed) == ("Net", "b1", "Conv_0")


def test_forwarded_inputs():
    def f(x, y, z):
        (x, y), _ = jax.lax.scan(lambda c, _: ((c[0], c[1] + 1.0), None), (x, y), None, length=2)
        z, w = jax.checkpoint(lambda z: (z, z * 2.0))(z)
        return jax.jit(lambda *args: args[::-1])(x, y, z, w)

    program, _ = _compat.trace_program(f, X, X, X)
    assert forwarded(program) == [None, 2, None, 0]


def test_scan_layouts():
    """JAX 0.11 replaced the two numbers of a scan by a tree of (constants, carry, slices)."""
    tree = SimpleNamespace(unpack=lambda: ((None, None), (None,), ()))
    new = SimpleNamespace(params={"ft_in": tree, "length": 5})
    old = SimpleNamespace(params={"num_consts": 2, "num_carry": 1, "length": 5})
    assert _compat.scan_split(new) == _compat.scan_split(old) == (2, 1, 5)
