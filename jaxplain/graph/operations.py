"""What equations compute, in short names: ``conv``, ``relu``, ``max_pool`` or the name of the primitive."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jaxplain import _compat
from jaxplain._compat import Equation

_ACTIVATIONS = frozenset(
    (
        "relu", "relu6", "silu", "swish", "gelu", "elu", "selu", "celu", "leaky_relu", "softplus", "sigmoid",
        "log_sigmoid", "hard_sigmoid", "hard_swish", "hard_silu", "hard_tanh", "soft_sign", "squareplus", "mish",
        "softmax", "log_softmax",
    )
)  # fmt: skip
MOVEMENTS = frozenset(
    (
        "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "copy_p", "device_put", "dynamic_slice",
        "dynamic_update_slice", "expand_dims", "gather", "name", "optimization_barrier", "pad", "reshape", "rev",
        "sharding_constraint", "slice", "split", "squeeze", "stack", "tile", "transpose",
    )
)  # fmt: skip
"""Primitives that put entries of their operands elsewhere."""
LINEAR = MOVEMENTS | frozenset(
    (
        "add", "add_any", "avg_pool", "complex", "conj", "conv", "cumsum", "div", "dot", "fft", "imag", "mean", "mul",
        "neg", "real", "reduce_precision", "reduce_sum", "reduce_window_sum", "scatter", "scatter-add", "scatter_add",
        "select_n", "stop_gradient", "sub", "sum",
    )
)  # fmt: skip
"""Kinds that are affine in what depends on the input; one factor of ``mul``, ``dot`` and ``conv`` does not, nor does
the divisor of ``div``."""
SELECTING = frozenset(
    (
        "clamp",
        "cummax",
        "cummin",
        "max",
        "max_pool",
        "min",
        "reduce_max",
        "reduce_min",
        "reduce_window_min",
        "sort",
        "top_k",
    )
)
"""Kinds whose outputs are entries of their inputs, or constants, chosen by value."""
_SHORT = {"conv_general_dilated": "conv", "dot_general": "dot", "reduce_window_max": "max_pool"}
_PRODUCTS = ("mul", "dot_general", "conv_general_dilated")
_OF_SEVERAL = frozenset(("sum", "bilinear", "quotient", "square"))
_STRUCTURES = frozenset(("softmax", "layer_norm", "rms_norm", "group_norm", "avg_pool", "mean"))
_PLUMBING = frozenset(("broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "copy", "transpose"))


@cache
def known_kinds() -> frozenset[str]:
    """Return all names that an operation can have here, but for those of functions called by name."""
    return _ACTIVATIONS | _OF_SEVERAL | _STRUCTURES | _compat.primitive_names() | frozenset(_SHORT.values())


def activation_name(equation: Equation) -> str:
    """Return the name of the activation function that an equation calls, or ``""``."""
    if _compat.kind_of(equation) == "custom":
        (body,) = _compat.bodies_of(equation)
        return activation_name(body.equations[0]) if len(body.equations) == 1 else ""
    name = _compat.call_name(equation)
    return name if name in _ACTIVATIONS else ""


def operation_name(equation: Equation) -> str:
    """Return a short name of what an equation computes."""
    name = equation.primitive.name
    return activation_name(equation) or _compat.call_name(equation) or _SHORT.get(name, name)


def kind_of_operands(equation: Equation, depending: Sequence[Any]) -> str:
    """Return the kind of an operation on several values that depend on the input, or ``""``.

    Args:
        equation: The equation.
        depending: Its operands that depend on the input; one that is read twice stands twice.
    """
    name = equation.primitive.name
    if name == "div" and any(atom is equation.invars[1] for atom in depending):
        return "quotient"
    if len(depending) < 2:
        return ""
    if name in _PRODUCTS:
        return "square" if name == "mul" and depending[0] is depending[1] else "bilinear"
    return "sum" if name in ("add", "sub", "add_any") else ""


def operation_names(equations: Iterable[Equation]) -> tuple[str, ...]:
    """Return the names of what a run of equations computes, each once; changes of shape only if nothing else."""
    names = list(dict.fromkeys(operation_name(equation) for equation in equations))
    return tuple(name for name in names if name not in _PLUMBING) or tuple(names)
