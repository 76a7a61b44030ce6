"""Functions whose contributions to a change are known by hand: DeepLIFT, and its mean over a background set."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxplain.testing.closed_forms import ClosedForm, Expected


def _against(baseline: Sequence[float], values: Sequence[float]) -> Expected:
    return Expected(np.asarray(values, np.float64), {"baseline": np.asarray(baseline, np.float64)})


def _mean_over(background: Sequence[Sequence[float]], values: Sequence[float]) -> Expected:
    return Expected(np.asarray(values, np.float64), {"background": np.asarray(background, np.float64), "chunk": 2})


def _two_gates() -> ClosedForm:
    # Against (0, 0): x - 1 from -1 to 2 has the slope 2/3, and the others 1. Against (2, 4): the outer ReLU, from -3 to
    # 1, has the slope 1/4, and the others 1.
    return ClosedForm(
        "relu(relu(x - 1) - relu(y))",
        lambda x: jax.nn.relu(jax.nn.relu(x[0] - 1) - jax.nn.relu(x[1])),
        np.array([3.0, 1.0]),
        {
            "deeplift": (_against([0, 0], [2, -1]), _against([2, 4], [1 / 4, 3 / 4])),
            "deep_shap": (
                _mean_over([[0, 0]], [2, -1]),
                _mean_over([[0, 0], [2, 4], [0, 0]], [(2 + 1 / 4 + 2) / 3, (-1 + 3 / 4 - 1) / 3]),
            ),
        },
    )


def _linear() -> ClosedForm:
    rng = np.random.default_rng(3)
    w, x, b, background = (rng.normal(size=shape) for shape in ((2, 3, 1), (2, 3, 1), (2, 3, 1), (5, 2, 3, 1)))
    return ClosedForm(
        "linear, compared",
        lambda x: jnp.sum(jnp.asarray(w) * x) + 0.7,
        x,
        {
            "deeplift": (Expected(w * (x - b), {"baseline": b}),),
            "deep_shap": (Expected(w * (x - background.mean(0)), {"background": background}),),
        },
    )


def _product_and_quotient() -> ClosedForm:
    # Of x y each factor by the mean of the other; of y / z by the mean of 1 / z, and the mean of y times the change.
    x, b = np.array([3.0, 2.0, 4.0]), np.array([1.0, -1.0, 2.0])
    product = np.array([2 * 0.5, 3 * 2.0, 0])
    quotient = np.array([0, 3 * (1 / 4 + 1 / 2) / 2, 0.5 * (1 / 4 - 1 / 2)])
    return ClosedForm(
        "x y, and y / z",
        lambda x: jnp.stack([x[0] * x[1], x[1] / x[2]]),
        x,
        {"deeplift": (Expected(np.stack([product, quotient]), {"baseline": b}),)},
    )


def _pooling() -> ClosedForm:
    # The windows (1 5), (5 2), (2 4) rise from 4, 3, 3 to 5, 5, 4. The first two belong to the 5; the third, whose own
    # winner at x is the 4, to that; with weights 1, 2, 3.
    return ClosedForm(
        "overlapping maxima",
        lambda x: jnp.dot(
            lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID"), jnp.array([1.0, 2.0, 3.0], x.dtype)
        ),
        np.array([1.0, 5.0, 2.0, 4.0]),
        {
            "deeplift": (_against([4, 0, 3, 0], [0, 1 * 1 + 2 * 2, 0, 3 * 1]),),
            "deep_shap": (_mean_over([[4, 0, 3, 0], [1, 5, 2, 4]], [0, 2.5, 0, 1.5]),),
        },
    )


def _logarithmic_mean(a: float, b: float) -> float:
    return (a - b) / (np.log(a) - np.log(b))


def _softmax() -> ClosedForm:
    # Probabilities 1/7, 2/7, 4/7 and 1/3 each, so log-probabilities change by log 3/7, log 6/7, log 12/7.
    x, b = np.log([1.0, 2.0, 4.0]), np.zeros(3)
    means = np.array([_logarithmic_mean(p / 7, 1 / 3) for p in (1, 2, 4)])
    shares = means / means.sum()
    first = np.array([means[0] * (1 - shares[0]), -means[0] * shares[1], -means[0] * shares[2]])
    return ClosedForm(
        "first of a softmax and of its logarithm",
        lambda x: jnp.stack([jax.nn.softmax(x)[0], jax.nn.log_softmax(x)[0]]),
        x,
        {"deeplift": (Expected(np.stack([first, np.eye(3)[0] - shares]) * (x - b), {"baseline": b}),)},
    )


def _single_entries() -> ClosedForm:
    x, b = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 1.0])
    return ClosedForm(
        "5x + y^2 + sin z, compared",
        lambda x: 5 * x[0] + x[1] ** 2 + jnp.sin(x[2]),
        x,
        {"deeplift": (Expected(np.array([2.5, 3.0, np.sin(3) - np.sin(1)]), {"baseline": b}),)},
    )


DIFFERENCE_FORMS: tuple[ClosedForm, ...] = (
    _two_gates(),
    _linear(),
    _product_and_quotient(),
    _pooling(),
    _softmax(),
    _single_entries(),
)
