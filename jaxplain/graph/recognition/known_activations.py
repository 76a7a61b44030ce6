"""The activation functions that are known by their values, and the grid on which values are compared.

The grid holds [-8, 8], the corners of the known functions, and far points, so that ``clip(x, 0, 20)`` is no ReLU.
Exact and tanh-approximated GELU are one kind, ``gelu``.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]

GRID = np.unique(
    np.concatenate(
        [np.linspace(-8, 8, 65), [-3, -1, -1e-3, 0, 1e-3, 1, 3, 6], [-1e4, -1e3, -100, -20, 20, 100, 1e3, 1e4]]
    )
)
_NEAR = np.abs(GRID) <= 8
_MINUS_ONE = int(np.searchsorted(GRID, -1.0))
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_erf = np.vectorize(math.erf)


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def _relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(-x, 0))


def _silu(x: np.ndarray) -> np.ndarray:
    return x * _sigmoid(x)


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _hard_swish(x: np.ndarray) -> np.ndarray:
    return x * _relu6(x + 3) / 6


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: np.ndarray) -> np.ndarray:
    return _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0)))


_PIECEWISE: Mapping[str, Function] = {"relu": _relu, "relu6": _relu6}
_SMOOTH: Mapping[str, tuple[Function, ...]] = {
    "silu": (_silu,),
    "gelu": (_gelu, _gelu_tanh),
    "elu": (_elu,),
    "selu": (_selu,),
    "softplus": (_softplus,),
    "tanh": (np.tanh,),
    "sigmoid": (_sigmoid,),
    "hard_swish": (_hard_swish,),
}
KINDS = (*_PIECEWISE, "leaky_relu", *_SMOOTH)
ALIASES = {"swish": "silu", "hard_silu": "hard_swish", "logistic": "sigmoid"}


def kind_of_values(values: Any, resolution: float) -> str:
    """Return the known activation whose values on ``GRID`` these are, or ``""``.

    Args:
        values: The values of a function at the grid's points.
        resolution: The relative spacing of the dtype in which they were computed.
    """
    got = np.asarray(values, np.float64)
    if got.shape != GRID.shape or not np.all(np.isfinite(got[_NEAR])):
        return ""
    below = float(-got[_MINUS_ONE])  # leaky ReLU's slope; ELU's scale by another formula
    for kind, function in _PIECEWISE.items():
        if _equal(got, want := function(GRID), 2 * resolution * np.abs(want)):
            return kind
    if 0 < below < 1 and _equal(got, want := np.where(GRID > 0, GRID, below * GRID), 4 * resolution * np.abs(want)):
        return "leaky_relu"
    limits = 8 * resolution * np.maximum(1, np.abs(GRID))  # a few roundings of the numbers that the formulas add up
    for kind, functions in _SMOOTH.items():
        if any(_equal(got, function(GRID), limits) for function in functions):
            return kind
    alpha = below / -math.expm1(-1)
    scaled = np.where(GRID > 0, GRID, alpha * np.expm1(np.minimum(GRID, 0)))
    return "elu" if alpha > 0 and _equal(got, scaled, limits) else ""


def _equal(got: np.ndarray, want: np.ndarray, limits: np.ndarray) -> bool:
    """Compare; far points may overflow."""
    return bool(np.all((np.abs(got - want) <= limits) | (~_NEAR & ~np.isfinite(got))))
