"""Arithmetic on NumPy arrays agrees with JAX's, primitive by primitive."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn

from jaxplain._compat import bind, is_literal, trace_program
from jaxplain.graph.flow import steps
from jaxplain.graph.recognition.activations import recognize
from jaxplain.graph.recognition.arithmetic import ELEMENTWISE, apply, trying
from jaxplain.graph.trace import trace
from jaxplain.testing import tol
from jaxplain.testing.compiles import count_compiles

GRID = np.asarray([-1e4, -20.5, -2.5, -1.0, -0.5, -0.0, 0.0, 1e-3, 0.5, 1.0, 2.5, 20.5, 1e4, np.inf, -np.inf, np.nan])
UNARY = (
    lax.abs, lax.acos, lax.acosh, lax.asin, lax.asinh, lax.atan, lax.atanh, lax.cbrt, lax.ceil, lax.cos, lax.cosh,
    lax.erf, lax.erf_inv, lax.erfc, lax.exp, lax.exp2, lax.expm1, lax.floor, lax.is_finite, lax.log, lax.log1p,
    lax.logistic, lax.neg, lax.round, lax.rsqrt, lax.sign, lax.sin, lax.sinh, lax.sqrt, lax.square, lax.tan, lax.tanh,
)  # fmt: skip
BINARY = (
    lax.add, lax.atan2, lax.div, lax.eq, lax.ge, lax.gt, lax.le, lax.lt, lax.max, lax.min, lax.mul, lax.ne, lax.pow,
    lax.rem, lax.sub,
)  # fmt: skip


def floating(x):
    y = jnp.flip(x)
    mask = x > y
    found = [f(x) for f in UNARY] + [f(x, y) for f in BINARY]
    found += [lax.clamp(jnp.full_like(x, -1), x, jnp.full_like(x, 2)), lax.select(mask, x, y), lax.integer_pow(x, -3)]
    return (
        *found,
        mask & (x > 0),
        mask | (x > 0),
        mask ^ (x > 0),
        ~mask,
        mask.astype(x.dtype),
        lax.reduce_precision(x, 5, 9),
    )


def whole(i):
    j = jnp.flip(i) + 1
    return (
        i + j,
        i * j,
        i - j,
        i // 3,
        i % 3,
        i**3,
        -i,
        jnp.clip(i, 0, 3),
        i & j,
        i ^ j,
        ~i,
        i > j,
        i.astype(jnp.float32),
    )


@pytest.mark.parametrize(("f", "x"), [(floating, GRID.astype(np.float32)), (whole, np.arange(-4, 4, dtype=np.int32))])
def test_primitives(f, x):
    """Each elementwise equation of a function, applied to the operands that JAX has there, gives what JAX computes."""
    program, _ = trace_program(f, x)

    @jax.jit
    def run(x):
        known, met = {program.inputs[0]: x}, []
        for equation in program.equations:
            operands = [jnp.asarray(a.val, a.aval.dtype) if is_literal(a) else known[a] for a in equation.invars]
            known.update(zip(equation.outvars, bind(equation, operands), strict=True))
            met.append((operands, known[equation.outvars[0]]))
        return met

    for equation, (operands, want) in zip(program.equations, run(x), strict=True):
        if (name := equation.primitive.name) in ELEMENTWISE:
            with trying():
                got = apply(equation, [np.asarray(operand) for operand in operands])
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, err_msg=name, **tol(np.float32, terms=4))


def test_recognizing_compiles_nothing():
    """Numbers and activations written out are tried in NumPy: no program for each primitive and dtype."""

    def network(x):
        return nn.gelu(x / jnp.sqrt(x.shape[-1]), approximate=False) + nn.hard_swish(x[..., 0:1]) * jnp.where(
            x > 0, x, 0
        )

    traced = trace(network, jnp.ones((2, 3), jnp.float16))
    with count_compiles() as count:
        kinds = [one.kind for one in recognize(traced, steps(traced)).values()]
    assert sorted(kinds) == ["gelu", "hard_swish", "relu"]
    assert count.programs == 0
