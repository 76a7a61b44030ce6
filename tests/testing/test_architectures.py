"""The reference architectures: one network in all its forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain
from jaxplain.testing.architectures import ARCHITECTURES, FEATURES

FORMS = [(network, form) for network in ARCHITECTURES for form in network.forms]
named = pytest.mark.parametrize(("network", "form"), FORMS, ids=[f"{network.name}-{form}" for network, form in FORMS])


@named
def test_every_form_gives_the_same_logits_and_is_one_program_when_made_twice(network, form):
    images = network.images(2)
    first, second = (network.model(**network.forms[form]) for _ in range(2))
    got, want = jax.jit(first)(images), jax.jit(network.model("bare"))(images)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * float(np.abs(want).max()))
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)


@pytest.mark.parametrize("network", ARCHITECTURES, ids=lambda network: network.name)
def test_every_form_tags_the_same_layer_with_space(network):
    x = jax.ShapeDtypeStruct(network.shape, jnp.float32)
    shapes = {
        form: {layer.path: layer.shape for layer in jaxplain.layers(network.model(**keywords), x)}[FEATURES]
        for form, keywords in network.forms.items()
    }
    assert set(shapes.values()) == {shapes["bare"]}
    assert len(shapes["bare"]) == len(network.shape)


def test_remat_and_scan_are_in_the_programs():
    for network in ARCHITECTURES:
        for form, keywords in network.forms.items():
            program = str(jax.make_jaxpr(network.model(**keywords))(network.images(1)))
            assert ("checkpoint" in program or "remat" in program) == form.endswith("_remat"), (network.name, form)
            assert ("= scan[" in program) == form.endswith("_scan"), (network.name, form)


@pytest.mark.parametrize("network", ARCHITECTURES, ids=lambda network: network.name)
def test_no_weight_is_idle_and_the_classes_differ(network):
    """So that a map's derivative with respect to any weight, and a map of any class, says something."""
    model, images = network.model("bare"), network.images(8)
    logits = np.asarray(jax.jit(model)(images))
    assert np.ptp(logits, axis=0).min() > 1e-2
    assert np.ptp(logits, axis=1).min() > 1e-2
    gradient = jax.jit(jax.grad(lambda weights: jnp.sum(jnp.square(model.apply(weights, images)))))(model.params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        # A bias of attention's keys adds the same to all logits of a query, which softmax takes out again.
        idle = [part.key for part in path[-2:]] == ["key", "bias"]
        assert idle or np.abs(leaf).max() > 1e-6, jax.tree_util.keystr(path)
