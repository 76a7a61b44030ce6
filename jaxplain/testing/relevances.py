"""Functions whose relevance (LRP) is known by hand, rule by rule.

Rules without a stabilizer give the figures exactly; the named composites, which have one, to its share.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.graph.predicates import OfKind, ReadsInput
from jaxplain.methods.lrp import Epsilon, Gamma, Pass, ZPlus
from jaxplain.methods.lrp.composites import Entry
from jaxplain.testing.closed_forms import ClosedForm, Expected
from jaxplain.testing.gates import two_convolutions

DENSE = OfKind("conv", "dot")
_STABILIZED = 1e-4
"""Relative share that stabilizers of 1e-6 may take here."""


def _under(*own: Entry) -> dict[str, Any]:
    return {"composite": own}


EXACT = _under((DENSE, Epsilon(0.0)))
NAMED = {"composite": "epsilon"}


def _everywhere(values: Any) -> tuple[Expected, ...]:
    """Return what LRP-0 and the epsilon composite give."""
    relevance = np.asarray(values, np.float64)
    return (Expected(relevance, EXACT), Expected(relevance, NAMED, rtol=_STABILIZED))


def _three_equal_units() -> ClosedForm:
    return ClosedForm(
        "3 sum relu(h), h = 2 (x + y + z)",
        lambda x: 3 * jnp.sum(jax.nn.relu(x @ jnp.full((3, 3), 2.0, x.dtype))),
        np.array([1.0, 2.0, 3.0]),
        {
            "lrp": (
                *_everywhere([18, 36, 54]),
                Expected(np.array([36.0, 36, 36]), {"composite": "epsilon_plus_flat"}, rtol=_STABILIZED),
            ),
            "input_x_gradient": (Expected(np.array([18.0, 36, 54])),),
        },
    )


def _one_negative_weight() -> ClosedForm:
    """Return the same, 96, with -2x in the first unit: hidden relevance is (24, 36, 36) under epsilon."""

    def f(x: jax.Array) -> jax.Array:
        weights = jnp.full((3, 3), 2.0, x.dtype).at[0, 0].set(-2.0)
        return jax.nn.relu(x @ weights) @ jnp.full(3, 3.0, x.dtype)

    first = ReadsInput()
    return ClosedForm(
        "3 sum relu(h), one weight negative",
        f,
        np.array([1.0, 2.0, 3.0]),
        {
            "lrp": (
                *_everywhere([6, 36, 54]),
                Expected(np.array([28 / 3, 104 / 3, 52]), _under((first, Gamma(1.0, 0.0)), (DENSE, Gamma(0.25, 0.0)))),
                Expected(np.array([12, 33.6, 50.4]), _under((DENSE, ZPlus(epsilon=0.0)))),
                Expected(np.array([24.0, 36, 36]), _under((first, Pass()), (DENSE, Epsilon(0.0)))),
            ),
        },
    )


def _saturating_units() -> ClosedForm:
    share = 0.1 * 3 * np.tanh(0.6) / 6  # three units of 0.1 tanh(0.1 s) at s = 6
    return ClosedForm(
        "0.1 sum tanh(0.1 s)",
        lambda x: 0.1 * jnp.sum(jnp.tanh(x @ jnp.full((3, 3), 0.1, x.dtype))),
        np.array([1.0, 2.0, 3.0]),
        {"lrp": _everywhere([share, 2 * share, 3 * share])},
    )


def _shortcut() -> ClosedForm:
    return ClosedForm(
        "x + W x",
        lambda x: (x + jnp.full((2, 2), 5.0, x.dtype) @ x)[1],
        np.array([2.0, 3.0]),
        {"lrp": (*_everywhere([10, 18]), Expected(np.array([10.0, 18]), {"composite": "attn_lrp"}, rtol=_STABILIZED))},
    )


def _largest(shape: tuple[int, ...]) -> ClosedForm:
    x = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    window = jax.lax.reduce_window
    return ClosedForm(
        f"max-pool over {shape}",
        lambda x: jnp.sum(window(x, -jnp.inf, jax.lax.max, shape, (1,) * len(shape), "VALID")),
        x,
        {"lrp": (Expected(np.where(x == x.max(), x, 0), NAMED),)},
    )


def _two_gates() -> ClosedForm:
    return ClosedForm(
        "relu(relu(x - 1) - relu(y)), relevance",
        lambda x: jax.nn.relu(jax.nn.relu(x[0] - 1) - jax.nn.relu(x[1])),
        np.array([3.0, 1.0]),
        {"lrp": (Expected(np.array([3.0, -1.0]), NAMED),)},
    )


def _two_convolutions() -> ClosedForm:
    rows = np.array([[0.0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11], [0, 0, 0, 0]])
    return ClosedForm(
        "two convolutions, relevance",
        two_convolutions,
        np.arange(16.0).reshape(4, 4, 1),
        {"lrp": (Expected(rows[..., None], EXACT),)},
    )


RELEVANCE_FORMS: tuple[ClosedForm, ...] = (
    _three_equal_units(),
    _one_negative_weight(),
    _saturating_units(),
    _shortcut(),
    _largest((2, 2)),
    _largest((2, 2, 2)),
    _two_gates(),
    _two_convolutions(),
)
