"""The kernels' dispatcher and the graph's speed rules use oneDNN where it is installed, and only there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import Logits, Score
from jaxplain.graph.rewrite import with_fast_gradients
from jaxplain.testing import tol
from jaxplain.testing.networks import images, relu_network
from jaxplain_kernels import optional
from jaxplain_kernels.convolution import convolve
from jaxplain_kernels.convolution.api import OP, problem_of
from jaxplain_kernels.convolution.cases import SMALL, plain_and_spec


def test_without_it_the_reason_names_the_remedy(monkeypatch):
    monkeypatch.setattr(optional, "import_module", lambda name: __import__("no_such_module_of_this_name"))
    optional.native.cache_clear()
    try:
        _, spec = plain_and_spec(SMALL["same"])
        x, kernel = (jnp.ones(shape) for shape in SMALL["same"][:2])
        assert OP.choose(problem_of(x, kernel, spec)).name == "turned"
        with pytest.raises(NotImplementedError, match="not installed; `make native` builds it"):
            convolve(x, kernel, spec, implementation="onednn")
    finally:
        optional.native.cache_clear()


def test_a_library_that_does_not_load_is_a_reason(monkeypatch):
    def broken(name):
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(optional, "import_module", broken)
    optional.native.cache_clear()
    try:
        assert "does not load: libgomp" in optional.native()[1]
    finally:
        optional.native.cache_clear()


@pytest.mark.parametrize("name", ["same", "stem", "stem, stride 3", "patches", "pointwise"])
def test_the_form_agrees_with_xla_backward_too(name):
    pytest.importorskip("jaxplain_native")
    plain, spec = plain_and_spec(SMALL[name])
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in SMALL[name][:2])
    assert OP.choose(problem_of(x, kernel, spec), platform="cpu").name == "onednn"
    assert "CPUs" in OP.explain(problem_of(x, kernel, spec), platform="cuda")[1].reason

    def derivatives(conv):
        value = jax.grad(lambda x, kernel: jnp.sum(jnp.tanh(conv(x, kernel))), (0, 1))
        penalty = jax.grad(lambda kernel: jnp.sum(value(x, kernel)[0] ** 2))
        return conv(x, kernel), value(x, kernel), penalty(kernel)

    got = jax.jit(lambda: derivatives(lambda x, kernel: convolve(x, kernel, spec)))()
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(jax.jit(lambda: derivatives(plain))()), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float32, terms=1000, scale=float(jnp.abs(other).max())))


def test_a_strided_kernel_of_one_position_is_left_to_the_product():
    pytest.importorskip("jaxplain_native")
    _, spec = plain_and_spec(SMALL["pointwise, strided"])
    x, kernel = (jnp.ones(shape) for shape in SMALL["pointwise, strided"][:2])
    assert OP.choose(problem_of(x, kernel, spec), platform="cpu").name == "pointwise"


def test_every_convolution_of_a_network_is_placed():
    pytest.importorskip("jaxplain_native")
    x = jnp.asarray(images(3))
    score = Score(relu_network(), Logits(jnp.array([0, 3])))

    def maps(f):
        return jax.jit(lambda x: jax.vmap(jax.jacrev(f))(x))

    fast, plain = maps(with_fast_gradients(score)), maps(score)
    text, before = fast.lower(x).as_text(), plain.lower(x).as_text()
    assert "stablehlo.convolution" in before and "stablehlo.convolution" not in text
    assert "jaxplain_native_convolve" in text
    want = plain(x)
    np.testing.assert_allclose(fast(x), want, **tol(np.float32, terms=100, scale=float(jnp.abs(want).max())))


def residual(params, x):
    """A strided bottleneck with inference normalization and a projection."""

    def conv(x, name, stride=1):
        numbers = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(x, params[name], (stride, stride), "SAME", dimension_numbers=numbers)
        mean, gain, shift = (params[f"{word} of {name}"].reshape(1, 1, 1, -1) for word in ("mean", "gain", "shift"))
        return (y - mean) * gain + shift

    hidden = jax.nn.relu(conv(jax.nn.relu(conv(x, "narrow")), "wide", 2))
    return jax.nn.relu(conv(hidden, "out") + conv(x, "projection", 2))


def test_a_residual_block_is_one_call_per_convolution():
    pytest.importorskip("jaxplain_native")
    kernels = {"narrow": (1, 1, 24, 8), "wide": (3, 3, 8, 8), "out": (1, 1, 8, 32), "projection": (1, 1, 24, 32)}
    rng = np.random.default_rng(0)
    shapes = kernels | {
        f"{w} of {name}": kernel[-1:] for name, kernel in kernels.items() for w in ("mean", "gain", "shift")
    }
    params = {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    x = jnp.asarray(rng.normal(size=(3, 10, 9, 24)), jnp.float32)

    def score(params, x, rewrite):
        return rewrite(lambda x: jnp.sum(jnp.tanh(residual(params, x[None]))))(x)

    def values(params, x):
        return jax.vmap(lambda x: score(params, x, with_fast_gradients))(x)

    text = jax.jit(values).lower(params, x).as_text()
    assert text.count("custom_call @jaxplain_native_convolve") == 4
    assert not any(word in text for word in ("stablehlo.convolution", "stablehlo.dot_general", "stablehlo.maximum"))

    def derivatives(params, rewrite):
        gradient = jax.vmap(jax.grad(score, argnums=1), (None, 0, None))

        def penalty(params):
            return jnp.sum(gradient(params, x, rewrite) ** 2)

        return gradient(params, x, rewrite), jax.grad(penalty)(params)

    got, want = (jax.jit(derivatives, static_argnums=1)(params, each) for each in (with_fast_gradients, lambda f: f))
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(one, other, **tol(np.float32, terms=1000, scale=float(jnp.abs(other).max())))
