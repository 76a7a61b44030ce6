"""Every network in every form under every method: maps do not depend on who wrote the network.

A cell is a network, a method and a form of the network: a framework, rematerialized or scanned. Its maps, of two images
and of all classes under ``jit(vmap)``, equal those of the bare form. `make test` runs a selection: three cells of each
method that looks into the network, in which all networks and forms meet, and one of each other method, to which all
forms are the same function. `make test-all` runs all cells.
"""

import collections
import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain import InputError, Logits, Model, Score
from jaxplain._registry import METHODS
from jaxplain.testing.architectures import ARCHITECTURES
from jaxplain.testing.promises import example_keywords

NETWORKS = {network.name: network for network in ARCHITECTURES}
TOLERANCE = 1e-5
"""Of a map's largest entry."""

DIFFERENTIATED = ("gradient", "integrated_gradients", "guided_backprop", "grad_cam", "lrp", "deeplift")
"""One method of each family, whose maps are differentiated."""

# Refusals that follow from a method's definition, not from a note of its entry: the message's words by networks.
NO_RULE = "there is no rule for the operation"
DEFINED_FOR_LESS = {
    # Winners are told by activations that are not negative: not through normalization over channels, GELU or softmax.
    "excitation_backprop": {"convnext": NO_RULE, "vit": NO_RULE},
}


def refusal(name, method):
    """Words of the message with which a method refuses a network, or None where it applies.

    A network may lack what the method's notes ask for (``needs_relu=True``, ``needs_attention=True`` ...).
    """
    notes = METHODS[method].notes
    needs = {note.removeprefix("needs_") for note in notes if note.startswith("needs_") and notes[note]}
    return next(iter(needs - NETWORKS[name].has), None) or DEFINED_FOR_LESS.get(method, {}).get(name)


def looks_inside(method):
    """Whether a method works on the traced network; the others evaluate and differentiate the score as it is."""
    return "jaxplain.graph" in inspect.getsource(inspect.getmodule(inspect.unwrap(METHODS[method].function)))


def selected(cells, n):
    """Choose n cells for every method, over all methods of as many networks and forms as can be."""
    cells = sorted(cells, key=_method)
    seen, chosen = collections.Counter(), []
    for _, own in itertools.groupby(cells, key=_method):
        left = list(own)
        for _ in range(min(n, len(left))):
            best = min(left, key=lambda cell: (seen[cell[0]] + seen[cell[2]] + 9 * seen[cell[0], cell[2]], cell))
            seen.update((best[0], best[2], (best[0], best[2])))
            left = [cell for cell in left if cell[0] != best[0]] or left
            left = [cell for cell in left if cell != best]
            chosen.append(best)
    return sorted(chosen)


def _method(cell):
    return cell[1]


ALL = [
    (name, method, form)
    for name, network in sorted(NETWORKS.items())
    for method in sorted(METHODS)
    if refusal(name, method) is None
    for form in network.forms
]
CELLS = [cell for cell in ALL if cell[2] != "bare"]
INSIDE = [cell for cell in CELLS if looks_inside(cell[1])]
SELECTED = sorted([*selected(INSIDE, 3), *selected(set(CELLS) - set(INSIDE), 1)])
REFUSED = [(name, method) for name in sorted(NETWORKS) for method in sorted(METHODS) if refusal(name, method)]
# Not where NNX calls jax.nn.dot_product_attention, which has its logits in float32 whatever the input.
DIFFERENTIABLE = [
    cell for cell in ALL if cell[1] in DIFFERENTIATED and not (cell[0] == "vit" and cell[2].startswith("nnx"))
]
SLOPES = selected([cell for cell in DIFFERENTIABLE if cell[2].startswith("bare")], 3)
OTHER_SLOPES = sorted(set(DIFFERENTIABLE) - set(SLOPES))


def keywords(method, x):
    """Context, and knobs made small: windows of the example's space, the fewest samples and steps."""
    entry, four, two = METHODS[method], (4,) * (x.ndim - 1), (2,) * (x.ndim - 1)
    small = {"n_samples": 2, "n_steps": 2, "block": 2, "window": four, "stride": four, "cells": two}
    return example_keywords(entry, x) | {name: value for name, value in small.items() if name in entry.knobs}


def explained(model, method, images):
    """The maps ``(image, class, ...)`` of a batch."""
    classes = Logits(jnp.arange(4, dtype=jnp.int32))
    explain = METHODS[method].function
    return jax.vmap(lambda x: explain(Score(model, classes), x, **keywords(method, x)))(images)


@functools.cache
def model_of(name, form):
    network = NETWORKS[name]
    return network.model(**network.forms[form])


@functools.cache
def maps(name, method, form):
    return np.asarray(jax.jit(explained, static_argnums=1)(model_of(name, form), method, NETWORKS[name].images(2)))


def check(name, method, form):
    got, want = maps(name, method, form), maps(name, method, "bare")
    shape = NETWORKS[name].shape
    assert want.shape in {(2, 4, *shape), (2, 4, *shape[:-1])}
    assert np.isfinite(want).all()
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * float(np.abs(want).max()))


@pytest.mark.parametrize(("name", "method", "form"), SELECTED)
def test_maps_equal_those_of_the_bare_form(name, method, form):
    check(name, method, form)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method", "form"), sorted(set(CELLS) - set(SELECTED)))
def test_maps_equal_those_of_the_bare_form_in_all_other_cells(name, method, form):
    check(name, method, form)


@pytest.mark.parametrize(("name", "method"), REFUSED)
def test_a_network_that_a_method_is_not_defined_for_is_refused(name, method):
    images = NETWORKS[name].images(2)
    with pytest.raises(InputError, match=refusal(name, method)):
        jax.eval_shape(lambda model: explained(model, method, images), model_of(name, "bare"))


def check_slope(name, method, form):
    """Hold reverse mode to central differences along one random direction of all weights and pixels, in float64.

    The direction is a tenth of the weights' own size. The steps h = 1e-7 and 2h are combined such that truncation is of
    the fourth order: relevance methods divide by activations that may be near zero and curve strongly there.
    Cancellation is ``eps / h`` = 2e-9 of the penalty, some roundings long; the tolerance is 1e-6. At the usual
    ``eps**(1/3)`` a kink of an activation or a tie of a pooling would lie within the step sixty times as often: here
    it does for one of ten thousand values, each of which moves by its own size per unit, once in a thousand cells.
    """
    model, draw = model_of(name, form), np.random.default_rng(5)
    point = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), (model.params, NETWORKS[name].images(1)))
    direction = jax.tree.map(lambda leaf: 0.1 * draw.normal(size=leaf.shape), point)

    @jax.jit
    @jax.value_and_grad
    def penalty(t):
        params, images = jax.tree.map(lambda leaf, change: leaf + t * change, point, direction)
        return jnp.sum(jnp.square(explained(Model(params, model.apply), method, images)))

    value, slope = penalty(0.0)
    assert value > 0
    assert abs(slope) > 1e-3 * value
    once, twice = ((penalty(h)[0] - penalty(-h)[0]) / (2 * h) for h in (1e-7, 2e-7))
    differences = (4 * once - twice) / 3
    np.testing.assert_allclose(slope, differences, rtol=1e-6, atol=1e-6 * float(value))


# Flax's LayerNorm asks for the common type of float64 and float32, which strict promotion refuses.
differentiating = pytest.mark.usefixtures("x64", "standard_promotion")


@differentiating
@pytest.mark.parametrize(("name", "method", "form"), SLOPES)
def test_maps_differentiate_with_respect_to_weights_and_image(name, method, form):
    check_slope(name, method, form)


@pytest.mark.slow
@differentiating
@pytest.mark.parametrize(("name", "method", "form"), OTHER_SLOPES)
def test_maps_differentiate_in_all_other_cells(name, method, form):
    check_slope(name, method, form)


def test_all_networks_forms_and_methods_meet_in_the_selection():
    def occurring(cells):
        return [{cell[place] for cell in cells} for place in range(3)] + [{(cell[0], cell[2]) for cell in cells}]

    assert occurring(SELECTED) == occurring(CELLS)
