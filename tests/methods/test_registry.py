"""Promises and axioms, over the whole registry."""

import pytest

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain._registry import METHODS
from jaxplain.testing.axioms import check_axiom
from jaxplain.testing.promises import PROMISES, agrees_under_jit_and_vmap, differentiates, network_for

RELATIVES = {
    *("grad_cam_pp", "xgrad_cam", "hires_cam", "layer_cam", "eigen_grad_cam", "shapley_cam"),  # of grad_cam
    *("deconvnet", "gradient_rollout", "smoothgrad_squared", "excitation_backprop"),
}
"""Methods that differ from another in a formula alone: the short suite holds them to one promise."""


def _is_slow(name, promise):
    """Derivatives of a method of every family are compared with differences in test_matrix.py."""
    return promise is differentiates or (name in RELATIVES and promise is not agrees_under_jit_and_vmap)


CELLS = [
    pytest.param(
        name,
        promise,
        id=f"{name}-{promise.__name__}",
        marks=pytest.mark.slow if _is_slow(name, promise) else [],
    )
    for name in sorted(METHODS)
    for promise in PROMISES
]


@pytest.mark.parametrize(("name", "promise"), CELLS)
def test_promise(name, promise):
    promise(METHODS[name], network_for(METHODS[name]))


@pytest.mark.parametrize(
    ("name", "axiom"), [(name, axiom) for name in sorted(METHODS) for axiom in METHODS[name].axioms]
)
def test_axiom(name, axiom):
    check_axiom(axiom, METHODS[name])
