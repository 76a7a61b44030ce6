"""Inputs that are known to be non-negative: half of the products are left out, and maps stay what they are."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxplain import Logit, Score
from jaxplain.graph.predicates import OfKind
from jaxplain.graph.rewrite import rewrite
from jaxplain.methods import lrp
from jaxplain.methods.lrp import AlphaBeta, ZPlus
from jaxplain.testing import relu_network
from jaxplain.testing.architectures import ARCHITECTURES
from jaxplain.testing.networks import images

AFFINE = OfKind("conv", "dot")


@dataclass(frozen=True)
class Blind:
    """A rule that is not told which inputs are known to be non-negative."""

    rule: Any

    def backward(self, call, cotangents):
        return self.rule.backward(replace(call, nonnegative=(False,) * len(call.inputs)), cotangents)


@pytest.mark.parametrize("rule", [ZPlus("whole"), AlphaBeta(2.0)], ids=repr)
@pytest.mark.parametrize("pixel", [1.0, np.nan])
def test_maps_are_the_same_bit_for_bit_and_nan_where_they_were(rule, pixel):
    f, x = Score(relu_network(), Logit(1)), jnp.asarray(images(1)[0]).at[2, 3, 0].set(pixel)
    got, want = (np.asarray(lrp(f, x, composite=((AFFINE, one),))) for one in (rule, Blind(rule)))
    np.testing.assert_array_equal(got, want)
    assert np.isnan(got).any() == np.isnan(pixel)


@pytest.mark.parametrize(("rule", "fewer"), [(ZPlus(), 2), (AlphaBeta(), 4)], ids=repr)
def test_half_of_the_products_are_left_out(rule, fewer):
    """Of z-plus one forward and one backward, of alpha-beta these for both signs."""

    def products(rule, activation):
        def maps(x):
            return lrp(lambda x: jnp.sum(activation(x) @ jnp.ones((4, 3))), x, composite=((AFFINE, rule),))

        return str(jax.make_jaxpr(maps)(jnp.ones(4))).count("dot_general")

    assert products(Blind(rule), jax.nn.relu) - products(rule, jax.nn.relu) == fewer
    assert products(rule, jnp.tanh) == products(Blind(rule), jax.nn.relu)


@dataclass(frozen=True)
class Lowest:
    """A rule that records the lowest entry of the inputs that are known to be non-negative."""

    def record(self, call):
        return [jnp.min(x) for x, known in zip(call.inputs, call.nonnegative, strict=True) if known]

    def backward(self, call, cotangents):
        return call.pull(cotangents)


@pytest.mark.parametrize("network", ARCHITECTURES, ids=lambda network: network.name)
def test_what_is_claimed_of_networks_is_true(network):
    form = "bare_scan" if network.scans else "bare_remat"
    f = Score(network.model(**network.forms[form]), Logit(1))

    @jax.jit
    def lowest(x):
        return rewrite(f, ((lambda block: True, Lowest()),)).placement(x).record(x)

    found = {site: port["values"] for site, port in lowest(network.images(1)[0]).items() if port["values"]}
    assert all((np.asarray(value) >= 0).all() for values in found.values() for value in values)
    assert len(found) >= (3 if "relu" in network.has else 0)


@pytest.mark.slow
@pytest.mark.parametrize("network", ARCHITECTURES, ids=lambda network: network.name)
def test_maps_of_every_network_are_the_same(network):
    """Up to the order of sums, which XLA chooses program by program."""
    f, x = Score(network.model(**network.forms["bare"]), Logit(1)), network.images(1)[0]

    @jax.jit
    def maps(x):
        return [lrp(f, x, composite=((AFFINE, one),)) for one in (AlphaBeta(2.0), Blind(AlphaBeta(2.0)))]

    got, want = maps(x)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * float(jnp.abs(want).max()))
