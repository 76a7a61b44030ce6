"""FullGrad: completeness on every architecture, terms against gradients by the biases themselves, and the map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import InputError, Logit, Logits, Score
from jaxplain.graph.biases import full_gradient
from jaxplain.methods import full_grad, full_grad_with_diagnostics
from jaxplain.testing import relu_network, smooth_network, tol
from jaxplain.testing.architectures import ARCHITECTURES
from jaxplain.testing.networks import images

X = jnp.asarray(images(1)[0])
ALSO = ("resnet-linen", "resnet-bare_scan", "unet_2d-bare_remat")
FORMS = [
    pytest.param(network, form, id=f"{network.name}-{form}")
    for network in ARCHITECTURES
    for form in network.forms
    if form == "bare" or f"{network.name}-{form}" in ALSO
]


def sizes(found):
    """Sum the absolute values of all terms, to which rounding is relative."""
    return sum(float(jnp.abs(term.values).sum()) for term in found.terms) + float(jnp.abs(found.input_term).sum())


def total(found):
    """Sum all terms of one score."""
    return sum(float(term.values.sum()) for term in found.terms) + float(found.input_term.sum())


def in_float64(network, form):
    """A score of a reference architecture and an image."""
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), network.model(**network.forms[form]))
    return Score(model, Logit(1)), jnp.asarray(network.images(1)[0], jnp.float64)


@pytest.mark.parametrize(("network", "form"), FORMS)
def test_the_terms_sum_to_the_score(x64, network, form):
    """Batch and layer normalization, GELU, attention, class tokens, skip connections and transposed convolutions."""
    f, x = in_float64(network, form)
    found = full_gradient(f, x)
    assert sum(float(jnp.abs(term.values).sum()) for term in found.terms) > 0.1 * abs(found.score)
    np.testing.assert_allclose(total(found), found.score, **tol(np.float64, terms=10_000, scale=sizes(found)))


ODD = {
    "comparisons": lambda x: jnp.sum(jnp.where(x > 0, x, 0.3 * x + 1.0) * (x < 1).astype(x.dtype)),
    "branches": lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: jnp.sum(jnp.exp(x)), lambda x: jnp.sum(x**3), x),
    "borders": lambda x: jnp.sum(jnp.cumsum(jnp.pad(x, 1, constant_values=2.0)) ** 2),
    "constants": lambda x: jnp.sum(jnp.concatenate([x, 1.0 + 0.0 * x, jnp.ones((1, 3), x.dtype)]) ** 2) - 4.0,
    "no derivative": lambda x: jnp.sum(x) * jax.lax.stop_gradient(jnp.prod(x)) + jnp.sum(jnp.sort(x.reshape(-1))[3:]),
    "a loop": lambda x: jax.lax.scan(lambda h, row: (jnp.tanh(h + row + 1.0), jnp.sum(h)), x[0], x)[1][-1],
    "quotients": lambda x: jnp.sum(x / (1.0 + x[::-1] ** 2)) + jnp.linalg.norm(x),
}


@pytest.mark.parametrize("name", ODD)
def test_completeness_needs_no_layers(x64, name):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))
    found = full_gradient(ODD[name], x)
    np.testing.assert_allclose(total(found), found.score, **tol(np.float64, terms=100, scale=sizes(found)))


def test_an_authors_reverse_rule_is_one_block(x64):
    @jax.custom_vjp
    def cube(x):
        return x**3 + 1.0

    cube.defvjp(lambda x: (cube(x), x), lambda x, g: (3 * x**2 * g,))
    x = jnp.asarray([[1.0, -2.0]])
    found = full_gradient(lambda x: jnp.sum(cube(x)), x)
    (term,) = found.terms
    np.testing.assert_allclose(term.values, [1 - 2 * x**3], rtol=1e-14)


@pytest.mark.parametrize("network", [relu_network, smooth_network])
def test_a_layers_term_is_its_bias_times_the_derivative_by_it(network):
    model, target = network(), Logits(jnp.array([1, 3]))
    found = full_gradient(Score(model, target), X)
    (term,) = [term for term in found.terms if term.block.kind == "conv"]
    assert term.values.shape == (2, 1, 6, 5, 8)

    def of_bias(bias):
        return Score(type(model)({**model.params, "bias": bias}, model.apply), target)(X)

    want = jax.jacrev(of_bias)(model.params["bias"]) * model.params["bias"][None]
    got = term.values.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(got, want, **tol(np.float32, terms=30, scale=float(np.abs(want).max()), safety=32))


def test_the_map_adds_what_psi_makes_of_each_layer_at_the_examples_size():
    f = Score(relu_network(), Logit(1))
    found = full_gradient(f, X)
    (term,) = [term for term in found.terms if term.has_place]

    def rescaled(values):
        size = np.abs(np.asarray(values))
        return (size - size.min()) / (size.max() - size.min())

    def resized(values):
        return jax.image.resize(values, (12, 10), "bilinear", antialias=False)

    want = rescaled(found.input_term).sum(-1) + resized(jnp.asarray(rescaled(term.values[0]).sum(-1)))
    np.testing.assert_allclose(full_grad(f, X), want, **tol(np.float32, terms=64))
    signed = found.input_term.sum(-1) + resized(term.values[0].sum(-1))
    np.testing.assert_allclose(full_grad(f, X, psi="signed"), signed, **tol(np.float32, terms=64))


def test_layers_in_a_scan_are_rescaled_one_by_one(x64):
    network = next(network for network in ARCHITECTURES if network.name == "resnet")
    maps = [full_grad(*in_float64(network, form)) for form in ("bare", "bare_scan")]
    assert maps[0].max() > 1
    np.testing.assert_allclose(maps[1], maps[0], **tol(np.float64, terms=10_000))


def test_tokens_have_no_place():
    network = next(network for network in ARCHITECTURES if network.name == "vit")
    f, placed = Score(network.model("bare"), Logit(1)), []
    jax.eval_shape(
        lambda x: placed.extend(term for term in full_gradient(f, x).terms if term.has_place), network.images(1)[0]
    )
    assert [term.block.kind for term in placed] == ["conv"]


def test_the_figures_tell_what_is_left_out(x64):
    f, x = in_float64(ARCHITECTURES[0], "bare")
    found = full_gradient(f, x)
    cam, figures = full_grad_with_diagnostics(f, x, psi="signed")
    assert cam.shape == x.shape[:-1]
    left_out = sum(float(term.values.sum()) for term in found.terms if not term.has_place)
    np.testing.assert_allclose(figures["left_out"], left_out, rtol=1e-12)
    np.testing.assert_allclose(figures["gap"], 0, atol=tol(np.float64, terms=10_000)["atol"] * sizes(found))


def test_an_example_without_space_is_refused():
    with pytest.raises(InputError, match=r"shape \(3,\) and no space"):
        full_grad(jnp.sum, jnp.ones(3))
