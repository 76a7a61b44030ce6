"""Functions whose attribution maps are known in closed form, to be checked in float64.

Each gives the maps of every method that has one there, with the knobs under which it is exact, and the number of values
that the method sums, from which the tolerance follows. Methods that are not listed have no closed form at that
function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Expected:
    """A method's exact map.

    Args:
        map: The map ``(*t, *in)``, or that of a layer.
        keywords: Context and knobs under which it is exact; a key is added where one is needed.
        rtol: Relative tolerance beyond rounding, where a rule is exact only in the limit.
    """

    map: np.ndarray
    keywords: Mapping[str, Any] = field(default_factory=dict)
    rtol: float = 0.0


@dataclass(frozen=True)
class ClosedForm:
    """One function of one example with its exact maps.

    Args:
        name: What it is.
        f: The score.
        x: The example, float64.
        maps: Method name -> exact maps.
    """

    name: str
    f: Callable[[jax.Array], jax.Array]
    x: np.ndarray
    maps: Mapping[str, tuple[Expected, ...]]


def _linear() -> ClosedForm:
    w, x, b = _random((3, 4, 2), 1), _random((3, 4, 2), 2), _random((3, 4, 2), 3)
    halves = np.array([[[0, 0, 1, 1]] * 3])
    densities = np.repeat((w * (x - b)).sum(-1).reshape(3, 2, 2).mean((0, 2)), 2)
    return ClosedForm(
        "linear",
        lambda x: jnp.sum(jnp.asarray(w) * x) + 0.7,
        x,
        {
            "gradient": (Expected(w),),
            "input_x_gradient": (Expected(w * x),),
            "integrated_gradients": tuple(
                Expected(w * (x - b), {"baseline": b, "n_steps": 3, "rule": rule})
                for rule in ("gauss_legendre", "midpoint", "trapezoid", "left", "right", "non_uniform")
            ),
            "smoothgrad": (Expected(w, {"n_samples": 5}),),
            "smoothgrad_squared": (Expected(w**2, {"n_samples": 5}),),
            "vargrad": (Expected(0 * w, {"n_samples": 5}),),
            "occlusion": (
                Expected(w * (x - b), {"baseline": b, "window": (1, 1, 1), "stride": (1, 1, 1)}),
                Expected(_spread((w * (x - b)).sum(-1)), {"baseline": b, "window": (1, 1), "stride": (1, 1)}),
            ),
            "lime": (
                Expected(
                    np.broadcast_to((w * (x - b)).sum((0, 2))[:, None], w.shape),
                    {"baseline": b, "segments": np.tile(np.arange(4), (3, 1)), "n_samples": 16, "ridge": 0.0},
                ),
            ),
            "xrai": (
                Expected(
                    np.tile(densities, (3, 1)), {"low": 2 * b, "high": 0 * b, "segmentations": halves, "n_steps": 1}
                ),
            ),
        },
    )


def _linear_vector() -> ClosedForm:
    w, x = _random((3, 5), 4), _random((5,), 5)
    return ClosedForm(
        "three linear scores",
        lambda x: jnp.asarray(w) @ x,
        x,
        {
            "gradient": (Expected(w),),
            "input_x_gradient": (Expected(w * x),),
            "integrated_gradients": (Expected(w * x, {"baseline": 0 * x, "n_steps": 2}),),
            "smoothgrad": (Expected(w, {"n_samples": 3}),),
            "occlusion": (Expected(w * x, {"baseline": 0 * x, "window": (1,), "stride": (1,)}),),
            "lime": (Expected(w * x, {"baseline": 0 * x, "segments": np.arange(5), "n_samples": 32, "ridge": 0.0}),),
        },
    )


def _quadratic() -> ClosedForm:
    q, x, b = _random((4, 4), 6), _random((4,), 7), _random((4,), 8)
    q = q + q.T
    replaced = [np.where(np.arange(4) == i, b, x) for i in range(4)]
    return ClosedForm(
        "quadratic form",
        lambda x: 0.5 * x @ jnp.asarray(q) @ x,
        x,
        {
            "gradient": (Expected(q @ x),),
            "input_x_gradient": (Expected(x * (q @ x)),),
            "integrated_gradients": (
                Expected((x - b) * (q @ (x + b)) / 2, {"baseline": b, "n_steps": 1, "rule": "midpoint"}),
                Expected((x - b) * (q @ (x + b)) / 2, {"baseline": b, "n_steps": 1}),
                Expected((x - b) * (q @ (x + b)) / 2, {"baseline": b, "n_steps": 4, "rule": "trapezoid"}),
                Expected((x - b) * (q @ (x + b)) / 2, {"baseline": b, "n_steps": 5, "rule": "non_uniform"}),
            ),
            "occlusion": (
                Expected(
                    np.array([0.5 * x @ q @ x - 0.5 * r @ q @ r for r in replaced]),
                    {"baseline": b, "window": (1,), "stride": (1,)},
                ),
            ),
        },
    )


def _smooth_sum() -> ClosedForm:
    b, x = np.array([0.5, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    change = np.array([2.5, 3.0, np.sin(3) - np.sin(1)])
    return ClosedForm(
        "5x + y^2 + sin z",
        lambda x: 5 * x[0] + x[1] ** 2 + jnp.sin(x[2]),
        x,
        {
            "gradient": (Expected(np.array([5, 4, np.cos(3)])),),
            "integrated_gradients": (
                Expected(change, {"baseline": b, "n_steps": 16}),
                Expected(change, {"baseline": b, "n_steps": 1000, "rule": "midpoint"}, rtol=1e-5),
            ),
            "occlusion": (Expected(change, {"baseline": b, "window": (1,), "stride": (1,)}),),
        },
    )


def _two_gates() -> ClosedForm:
    return ClosedForm(
        "relu(relu(x - 1) - relu(y))",
        lambda x: jax.nn.relu(jax.nn.relu(x[0] - 1) - jax.nn.relu(x[1])),
        np.array([3.0, 1.0]),
        {
            "gradient": (Expected(np.array([1.0, -1.0])),),
            "input_x_gradient": (Expected(np.array([3.0, -1.0])),),
            "integrated_gradients": (
                Expected(np.array([1.5, -0.5]), {"baseline": np.zeros(2), "n_steps": 64, "rule": "midpoint"}),
            ),
            "occlusion": (Expected(np.array([1.0, -1.0]), {"baseline": np.zeros(2), "window": (1,), "stride": (1,)}),),
        },
    )


def _closed_gates() -> ClosedForm:
    zero = np.zeros(2)
    off = _two_gates()
    return ClosedForm(
        "relu(relu(x - 1) - relu(y)), gates closed",
        off.f,
        np.array([-10.0, -5.0]),
        {
            "gradient": (Expected(zero),),
            "input_x_gradient": (Expected(zero),),
            "integrated_gradients": (Expected(zero, {"baseline": zero}),),
            "occlusion": (Expected(zero, {"baseline": zero, "window": (1,), "stride": (1,)}),),
        },
    )


def _overlapping_windows() -> ClosedForm:
    ten, zero = np.full(3, 10.0), np.zeros(3)
    return ClosedForm(
        "relu(s - 10) + 3 relu(s + 1) of the sum s",
        lambda x: jax.nn.relu(jnp.sum(x) - 10) + 3 * jax.nn.relu(jnp.sum(x) + 1),
        np.array([20.0, 50.0, 30.0]),
        {
            "occlusion": (
                Expected(np.array([80.0, 200, 120]), {"baseline": zero, "window": (1,), "stride": (1,)}),
                Expected(np.array([200.0, 220, 240]), {"baseline": ten, "window": (2,), "stride": (1,)}),
                Expected(np.array([280.0, 280, 120]), {"baseline": zero, "window": (2,), "stride": (2,)}),
            ),
        },
    )


def _cube() -> ClosedForm:
    """Return the sums of 3 t^2 by each rule, by hand."""
    one = np.ones(1)

    def expect(rule: str, n: int, value: float) -> Expected:
        return Expected(value * one, {"baseline": 0 * one, "rule": rule, "n_steps": n})

    n = 20
    return ClosedForm(
        "cube",
        lambda x: jnp.sum(x**3),
        one,
        {
            "integrated_gradients": (
                expect("gauss_legendre", 2, 1.0),
                expect("midpoint", n, 1 - 1 / (4 * n**2)),
                expect("right", n, (n + 1) * (2 * n + 1) / (2 * n**2)),
                expect("left", n, (n - 1) * (2 * n - 1) / (2 * n**2)),
                expect("trapezoid", n, 1 + 1 / (2 * (n - 1) ** 2)),
            ),
        },
    )


def _constant() -> ClosedForm:
    zero = np.zeros((2, 3))
    return ClosedForm(
        "constant",
        lambda x: 0 * jnp.sum(x) + 4.0,
        _random((2, 3), 9),
        {
            "gradient": (Expected(zero),),
            "input_x_gradient": (Expected(zero),),
            "integrated_gradients": (Expected(zero, {"baseline": zero}),),
            "smoothgrad": (Expected(zero, {"n_samples": 2}),),
            "smoothgrad_squared": (Expected(zero, {"n_samples": 2}),),
            "vargrad": (Expected(zero, {"n_samples": 2}),),
            "occlusion": (Expected(zero, {"baseline": zero, "window": (2, 2), "stride": (1, 1)}),),
        },
    )


def _random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _spread(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 2, axis=-1)


CLOSED_FORMS: tuple[ClosedForm, ...] = (
    _linear(),
    _linear_vector(),
    _quadratic(),
    _smooth_sum(),
    _two_gates(),
    _closed_gates(),
    _overlapping_windows(),
    _cube(),
    _constant(),
)
