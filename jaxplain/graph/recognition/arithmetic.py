"""Elementwise primitives on small NumPy arrays: what they compute is tried out without compiling anything.

A program per primitive and dtype would have to be compiled for that, some 50 ms each, before the first trace is done.
Values agree with XLA's to rounding. What NumPy defines otherwise, or not at all, is left to JAX.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxplain._compat import Equation

_JAX_ALONE = frozenset(("erf_inv", "reduce_precision", "rem", "round"))
_OTHERWISE_ON_INTEGERS = frozenset(("convert_element_type", "div", "integer_pow", "pow"))
_OTHERS: Mapping[str, Callable[..., Any]] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "add_any": np.add,
    "and": np.bitwise_and,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "convert_element_type": lambda x: x,
    "copy": lambda x: x,
    "copy_p": lambda x: x,
    "div": np.divide,
    "eq": np.equal,
    "erf": np.vectorize(math.erf, [float]),
    "erfc": np.vectorize(math.erfc, [float]),
    "ge": np.greater_equal,
    "gt": np.greater,
    "is_finite": np.isfinite,
    "le": np.less_equal,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "pow": np.power,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "select_n": lambda which, *cases: np.choose(which, cases),
    "stop_gradient": lambda x: x,
    "sub": np.subtract,
    "xor": np.bitwise_xor,
}
_SAME_NAME = (
    "abs", "add", "cbrt", "ceil", "cos", "cosh", "exp", "exp2", "expm1", "floor", "log", "log1p", "sign", "sin", "sinh",
    "sqrt", "square", "tan", "tanh",
)  # fmt: skip
_NUMPY = {**{name: getattr(np, name) for name in _SAME_NAME}, **_OTHERS}
ELEMENTWISE = frozenset((*_NUMPY, *_JAX_ALONE, "integer_pow"))
"""Primitives that work on each entry by itself."""


@contextlib.contextmanager
def trying() -> Iterator[None]:
    """Compute at once, also while tracing, without alarm at what overflows or is undefined."""
    with np.errstate(all="ignore"), jax.ensure_compile_time_eval(), jax.debug_nans(False), jax.debug_infs(False):
        yield


def apply(equation: Equation, operands: Sequence[np.ndarray]) -> np.ndarray:
    """Evaluate an elementwise equation on arrays of other shapes than it was traced for.

    Args:
        equation: The equation, of a primitive in ``ELEMENTWISE``.
        operands: Its operands, in its dtypes, of shapes that NumPy broadcasts.
    """
    name, dtype = equation.primitive.name, equation.outvars[0].aval.dtype
    if name in _JAX_ALONE or (name in _OTHERWISE_ON_INTEGERS and jnp.issubdtype(dtype, jnp.integer)):
        spread = np.broadcast_arrays(*operands)
        return np.asarray(equation.primitive.bind(*map(jnp.asarray, spread), **equation.params))
    function = _NUMPY[name] if name in _NUMPY else lambda x: np.power(x, equation.params["y"])
    return np.asarray(function(*operands)).astype(dtype)
