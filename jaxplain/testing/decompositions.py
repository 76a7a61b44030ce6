"""Scores taken apart layer by layer, by hand: expected gates, full gradients, winners.

Two channels look at an image ``(1 2; 3 4)``: ``x - 1.5`` and ``2.5 - x``, behind a ReLU ``(0 0.5; 1.5 2.5)`` and
``(1.5 0.5; 0 0)``, weighed by ``(1 -1; 2 1)`` and ``(-2 1; 4 3)``; with the constant 3 the score is 5.5.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain.testing.closed_forms import ClosedForm, Expected

IMAGE = np.array([[1.0, 2.0], [3.0, 4.0]])[..., None]
SLOPES, SHIFTS = np.array([1.0, -1.0]), np.array([-1.5, 2.5])
WEIGHTS = np.array([[[1.0, -2.0], [-1.0, 1.0]], [[2.0, 4.0], [1.0, 3.0]]])
"""``(y, x, channel)``."""


def two_channels(x: jax.Array) -> jax.Array:
    """Return the score of an image ``(2, 2, 1)``; 5.5 at (1 2; 3 4).

    Example:
        >>> float(two_channels(jnp.asarray(IMAGE, jnp.float32)))
        5.5
    """
    slopes, shifts = jnp.asarray(SLOPES, x.dtype), jnp.asarray(SHIFTS, x.dtype)
    numbers = ("NHWC", "HWIO", "NHWC")
    scaled = jax.lax.conv_general_dilated(
        x[None], slopes.reshape(1, 1, 1, 2), (1, 1), "VALID", dimension_numbers=numbers
    )
    hidden = jax.nn.relu(scaled + shifts.reshape(1, 1, 1, 2))
    return jnp.asarray(WEIGHTS, x.dtype).reshape(-1) @ hidden.reshape(-1) + 3.0


def _open_gates() -> ClosedForm:
    gradient = np.array([[2.0, -2.0], [2.0, 1.0]])[..., None]  # (0 -1; 2 1) less (-2 1; 0 0)
    return ClosedForm(
        "two channels of an image",
        two_channels,
        IMAGE,
        {
            "gradient": (Expected(gradient),),
            # Noise of 0.03 lets no gate switch: the nearest is 0.5 away, 16 standard deviations.
            "smoothdiff": (Expected(gradient, {"n_samples": 5, "sigma": 0.01}),),
            # Input: (2 -4; 6 4). Biases: -1.5 (0 -1; 2 1) = (0 1.5; -3 -1.5) and 2.5 (-2 1; 0 0) = (-5 2.5; 0 0). With
            # the constant 3, which has no place, 8 - 3 - 2.5 + 3 = 5.5.
            "full_grad": (
                Expected(np.array([[-3.0, 0.0], [3.0, 2.5]]), {"psi": "signed"}),
                Expected(np.array([[7.0, 8.0], [9.0, 5.5]]), {"psi": "absolute"}),
                # (2 4; 6 4) from 2 to 6, (0 1.5; 3 1.5) and (5 2.5; 0 0) from 0 to 5.
                Expected(np.array([[0 + 0 + 1, 0.5 + 0.3 + 0.5], [1 + 0.6, 0.5 + 0.3]])),
            ),
            # Excitations (0 0; 3 2.5) and (0 0.5; 0 0) of 6; the second channel has no excitatory input and loses 1/12.
            "excitation_backprop": (Expected(np.array([[0.0, 0.0], [3 / 6, 2.5 / 6]])[..., None]),),
        },
    )


def _linear() -> ClosedForm:
    weights = np.arange(6.0).reshape(2, 3) - 2
    return ClosedForm(
        "no nonlinearity",
        lambda x: jnp.sum(jnp.asarray(weights) * x) - 1.0,
        np.ones((2, 3)) + weights**2,
        {"smoothdiff": (Expected(weights, {"n_samples": 3}),)},
    )


def _implicit_biases() -> ClosedForm:
    """Return two scores: to x tanh'(x), the input's part, the implicit bias tanh(x) - x tanh'(x) adds the rest."""
    weights = np.array([[1.0, -2.0, 0.5]])
    values = np.array([[0.3, -1.0, 2.0]])[..., None]
    signed = weights * np.tanh(values[..., 0])
    return ClosedForm(
        "tanh, and minus twice that",
        lambda x: jnp.array([1.0, -2.0], x.dtype) * jnp.sum(jnp.asarray(weights)[..., None] * jnp.tanh(x)),
        values,
        {"full_grad": (Expected(np.stack([signed, -2 * signed]), {"psi": "signed"}),)},
    )


def _winners() -> ClosedForm:
    """Return two scores of three entries: shares 3 : 1 of two windows, of which the first is won by its maximum."""
    return ClosedForm(
        "winners",
        lambda x: (
            jnp.array([3.0, 0.0], x.dtype) * jnp.max(x[:2]) + jnp.array([1.0, -1.0], x.dtype) * (x[1] + jnp.tanh(x[2]))
        ),
        np.array([4.0, 2.0, -1.0]),
        # 12 of the maximum and 1 x (2 - tanh 1) of the sum, in which 2 alone is positive; the second score has no
        # excitatory weight.
        {
            "excitation_backprop": (
                Expected(np.array([[12.0, 2 - np.tanh(1), 0], [0, 0, 0]]) / np.array([[14 - np.tanh(1)], [1.0]])),
            )
        },
    )


def _no_terms() -> ClosedForm:
    """Return a closed gate: nothing is rescaled, and nothing divided by zero."""
    return ClosedForm(
        "closed gates",
        lambda x: jnp.sum(jax.nn.relu(x - 9.0)),
        IMAGE,
        {"full_grad": tuple(Expected(np.zeros((2, 2)), {"psi": psi}) for psi in ("rescaled", "absolute", "signed"))},
    )


DECOMPOSED_FORMS: tuple[ClosedForm, ...] = (_open_gates(), _linear(), _implicit_biases(), _winners(), _no_terms())
