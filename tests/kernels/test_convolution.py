"""Convolutions in every form against JAX's own: values, cotangents of input and kernel, second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain.testing import tol
from jaxplain_kernels.convolution import convolve
from jaxplain_kernels.convolution.api import OP, problem_of
from jaxplain_kernels.convolution.cases import SMALL, plain_and_spec


@pytest.mark.parametrize("name", SMALL)
def test_values_and_derivatives_are_those_of_jax(x64, name):
    plain, spec = plain_and_spec(SMALL[name])
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=size)) for size in SMALL[name][:2])

    def derivatives(conv):
        def value(x, kernel):
            return jnp.sum(jnp.tanh(conv(x, kernel)))

        def penalty(kernel):
            return jnp.sum(jax.grad(value)(x, kernel) ** 2)

        return conv(x, kernel), jax.grad(value, argnums=(0, 1))(x, kernel), jax.grad(penalty)(kernel)

    got = jax.jit(lambda: derivatives(lambda x, kernel: convolve(x, kernel, spec)))()
    want = jax.jit(lambda: derivatives(plain))()
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float64, terms=1000, scale=float(jnp.abs(other).max())))


def test_every_form_has_cases():
    chosen = []
    for case in SMALL.values():
        x, kernel = (jax.ShapeDtypeStruct(size, jnp.float64) for size in case[:2])
        chosen.append(OP.choose(problem_of(x, kernel, plain_and_spec(case)[1])).name)
    assert min(chosen.count(form) for form in ("pointwise", "coarse", "turned")) >= 4, chosen


def test_strided_volumes_are_never_pulled_back_by_a_dilated_convolution():
    """XLA:CPU takes seconds for it."""
    for kernel in ((3, 3, 3, 4, 8), (3, 7, 7, 1, 8)):
        case = ((1, 8, 8, 8, kernel[3]), kernel, {"padding": "SAME", "window_strides": (2, 2, 2)})
        x, weights = (jax.ShapeDtypeStruct(size, jnp.float64) for size in case[:2])
        assert OP.choose(problem_of(x, weights, plain_and_spec(case)[1])).name == "coarse"


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_no_kernel_is_larger_than_what_it_reads(strides):
    """XLA:CPU takes forty times as long for it, forward or backward."""
    case = ((2, 2, 2, 3), (3, 3, 3, 8), {"padding": ((1, 1), (1, 1)), "window_strides": strides})
    x, kernel = (jax.ShapeDtypeStruct(size, jnp.float32) for size in case[:2])
    spec = plain_and_spec(case)[1]
    traced = jax.make_jaxpr(jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel, spec) ** 2)))(x, kernel)
    read_later = {id(atom) for atoms in (*(one.invars for one in traced.eqns), traced.jaxpr.outvars) for atom in atoms}
    used = [equation for equation in traced.eqns if id(equation.outvars[0]) in read_later]  # XLA leaves out the others
    found = [equation for equation in used if equation.primitive.name == "conv_general_dilated"]
    assert len(found) == 2
    for equation in found:
        numbers, (read, weights) = equation.params["dimension_numbers"], (one.aval.shape for one in equation.invars)
        assert all(read[a] >= weights[b] for a, b in zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], strict=True))


def test_a_cotangent_of_patches_is_not_spread_in_memory():
    """Between 14 x 14 patches of 16 x 16 there are 255 zeros to each value."""
    case = ((1, 224, 224, 3), (16, 16, 3, 384), {"padding": "VALID", "window_strides": (16, 16)})
    x, kernel = (jax.ShapeDtypeStruct(size, jnp.float32) for size in case[:2])
    spec = plain_and_spec(case)[1]
    traced = jax.make_jaxpr(jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel, spec) ** 2)))(x, kernel)
    assert max(out.aval.size for equation in traced.eqns for out in equation.outvars) <= 2 * 224 * 224 * 3


def test_bfloat16_keeps_its_dtype():
    plain, spec = plain_and_spec(SMALL["stem"])
    x, kernel = (jnp.ones(size, jnp.bfloat16) for size in SMALL["stem"][:2])
    value, pull = jax.vjp(lambda x: convolve(x, kernel, spec), x)
    assert value.dtype == pull(value)[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(value, plain(x, kernel))
