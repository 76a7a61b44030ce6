"""Arguments of a network's call: which are traced, and which of them switch training off."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

_SWITCHES = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
    "inference": True,
    "eval_mode": True,
}


def split_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split keyword arguments into those that hold arrays, which are traced, and the rest, which are static."""
    traced: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for name, value in arguments.items():
        leaves = jax.tree.leaves(value)
        arrays = bool(leaves) and all(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves)
        (traced if arrays else fixed)[name] = value
    return traced, fixed


def training_hint(call: str, function: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """Return the sentence that says how to switch training off.

    Args:
        call: The beginning of the adapter's call, without its closing parenthesis.
        function: The network's method, whose signature is searched for a switch.
        given: The arguments that were passed already.
    """
    names = list(inspect.signature(function).parameters)
    for name, value in _SWITCHES.items():
        if name in names and given.get(name) != value:
            return f"Pass {name}={value}: {call}, {name}={value})."
    return "Build the module for inference (use_running_average=True, deterministic=True) and wrap that one."
