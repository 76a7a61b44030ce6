"""What equations compute, in short names: ``conv``, ``relu``, ``max_pool`` or the name of the primitive."""

from collections.abc import Iterable

from jaxplain import _compat
from jaxplain._compat import Equation

_ACTIVATIONS = frozenset(
    (
        "relu", "relu6", "silu", "swish", "gelu", "elu", "selu", "celu", "leaky_relu", "softplus", "sigmoid",
        "log_sigmoid", "hard_sigmoid", "hard_swish", "hard_silu", "hard_tanh", "soft_sign", "squareplus", "mish",
        "softmax", "log_softmax",
    )
)  # fmt: skip
_SHORT = {"conv_general_dilated": "conv", "dot_general": "dot", "reduce_window_max": "max_pool"}
_PLUMBING = frozenset(("broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "copy", "transpose"))


def known_kinds() -> frozenset[str]:
    """Return all names that an operation can have here, but for those of functions called by name."""
    return _ACTIVATIONS | _compat.primitive_names() | frozenset(_SHORT.values())


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


def operation_names(equations: Iterable[Equation]) -> tuple[str, ...]:
    """Return the names of what a run of equations computes, each once; changes of shape only if nothing else."""
    names = list(dict.fromkeys(operation_name(equation) for equation in equations))
    return tuple(name for name in names if name not in _PLUMBING) or tuple(names)
