"""Two convolutions behind ReLUs whose maps are known by hand: gradients, guided backpropagation, deconvnet.

The image is 0 ... 15, row by row. Two valid 3 x 3 convolutions with all-ones kernels give the window's sum s less 50
and less 75; behind their ReLU stand weights, (1 1; 1 1) and (1 -1; -1 -1), and one more ReLU.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from jaxplain.testing.closed_forms import ClosedForm, Expected

BEFORE, AFTER = "before", "after"
"""The layers: the convolutions, and their ReLU."""
_IMAGE = np.arange(16.0).reshape(4, 4, 1)


def two_convolutions(x: jax.Array) -> jax.Array:
    """Return the score of an image ``(4, 4, 1)``; 54 at 0 ... 15.

    Example:
        >>> float(two_convolutions(jnp.arange(16.0).reshape(4, 4, 1)))
        54.0
    """
    kernel = jnp.ones((3, 3, 1, 2), x.dtype)
    numbers = ("NHWC", "HWIO", "NHWC")
    sums = jax.lax.conv_general_dilated(x[None], kernel, (1, 1), "VALID", dimension_numbers=numbers)
    before = checkpoint_name(sums - jnp.array([50.0, 75.0], x.dtype).reshape(1, 1, 1, 2), BEFORE)
    after = checkpoint_name(jax.nn.relu(before), AFTER)
    weights = jnp.array([[[1, 1], [1, -1]], [[1, -1], [1, -1]]], x.dtype)
    return jax.nn.relu(jnp.sum(after * weights[None]))


def _map(rows: Sequence[Sequence[float]]) -> np.ndarray:
    return np.asarray(rows, np.float64)[..., None]


def _behind_relus() -> ClosedForm:
    # Of the sums (45 54; 81 90) all but the first pass the first channel, the lower two the second.
    relevance = [[0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11], [0, 0, 0, 0]]
    guided = [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]]
    deconvolved = [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]]
    both: list[list[float]] = [[0, 0, 4, 4], [0, 0, 12, 8], [28, 84, 97.5, 65], [28, 56, 65, 32.5]]
    return ClosedForm(
        "two convolutions",
        two_convolutions,
        _IMAGE,
        {
            "input_x_gradient": (Expected(_map(relevance)),),
            "guided_backprop": (Expected(_map(guided)),),
            "deconvnet": (Expected(_map(deconvolved)),),
            "guided_grad_cam": (Expected(_map(both), {"layer": AFTER, "upsample": "nearest"}),),
        },
    )


def _differing_gates(x: np.ndarray, guided: list[float], deconvolved: list[float]) -> ClosedForm:
    return ClosedForm(
        f"relu(relu(x - 1) - relu(y)) at {x.tolist()}",
        lambda x: jax.nn.relu(jax.nn.relu(x[0] - 1) - jax.nn.relu(x[1])),
        x,
        {
            "guided_backprop": (Expected(np.asarray(guided)),),
            "deconvnet": (Expected(np.asarray(deconvolved)),),
        },
    )


GATE_FORMS: tuple[ClosedForm, ...] = (
    _behind_relus(),
    _differing_gates(np.array([3.0, 1.0]), [1.0, 0.0], [1.0, 0.0]),
    _differing_gates(np.array([-10.0, -5.0]), [0.0, 0.0], [1.0, 0.0]),
)
