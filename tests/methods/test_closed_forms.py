"""Every closed form, in float64, for every method that it lists."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxplain.methods  # noqa: F401  (fills the registry)
from jaxplain._registry import METHODS
from jaxplain.testing import (
    ATTENTION_FORMS,
    CAM_FORMS,
    CLOSED_FORMS,
    DECOMPOSED_FORMS,
    DIFFERENCE_FORMS,
    GAME_FORMS,
    GATE_FORMS,
    PATH_FORMS,
    RELEVANCE_FORMS,
    REMOVAL_FORMS,
    tol,
)

FORMS = (
    *(*CLOSED_FORMS, *CAM_FORMS, *GATE_FORMS, *DECOMPOSED_FORMS),
    *(*ATTENTION_FORMS, *RELEVANCE_FORMS, *DIFFERENCE_FORMS, *PATH_FORMS, *GAME_FORMS, *REMOVAL_FORMS),
)
CASES = [
    pytest.param(form, name, expected, id=f"{form.name}-{name}-{number}")
    for form in FORMS
    for name, maps in form.maps.items()
    for number, expected in enumerate(maps)
]


@pytest.mark.parametrize(("form", "name", "expected"), CASES)
def test_closed_form(x64, form, name, expected):
    entry = METHODS[name]
    x = jnp.asarray(form.x)
    keywords = {word: jnp.asarray(v) if isinstance(v, np.ndarray) else v for word, v in expected.keywords.items()}
    if "key" in entry.context:
        keywords["key"] = jax.random.key(0)
    got = entry.function(form.f, x, **keywords)
    assert got.dtype == jnp.float64
    limits = tol(np.float64, terms=1000, scale=float(np.abs(expected.map).max() + 1))
    np.testing.assert_allclose(got, expected.map, rtol=limits["rtol"] + expected.rtol, atol=limits["atol"])


def test_every_method_has_a_closed_form():
    assert set(METHODS) == {name for form in FORMS for name in form.maps}
