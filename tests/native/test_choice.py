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
