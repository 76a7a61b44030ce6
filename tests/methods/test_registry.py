"""Promises and axioms, over the whole registry."""

import pytest

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain._registry import METHODS
from jaxplain.testing.axioms import check_axiom
from jaxplain.testing.promises import PROMISES, network_for


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("name", sorted(METHODS))
def test_promise(name, promise):
    promise(METHODS[name], network_for(METHODS[name]))


@pytest.mark.parametrize(
    ("name", "axiom"), [(name, axiom) for name in sorted(METHODS) for axiom in METHODS[name].axioms]
)
def test_axiom(name, axiom):
    check_axiom(axiom, METHODS[name])
