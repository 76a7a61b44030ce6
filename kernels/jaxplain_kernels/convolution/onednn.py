"""The form that oneDNN computes, where the optional distribution jaxplain-native (kernels/native) is installed."""

from functools import cache
from importlib import import_module
from typing import Any

import jax
from jax import lax

from jaxplain_kernels.convolution.xla import pull_back_coarse

Array = jax.Array


@cache
def native() -> tuple[Any, str]:
    """Return the module, or None and why it is not there. It is looked up by name: nothing here needs it."""
    try:
        module = import_module("jaxplain_native")
        module.onednn_version()
    except ModuleNotFoundError:
        return None, "jaxplain-native is not installed; `make native` builds it"
    except (ImportError, OSError, AttributeError) as error:  # built for another system, or half installed
        return None, f"jaxplain-native does not load: {error}"
    return module, ""


def refusal(x: Any, kernel: Any, spec: Any) -> str:
    """Return why oneDNN cannot serve a convolution of these shapes and dtypes, or ``""``."""
    module, reason = native()
    return reason if module is None else str(module.refusal(x, kernel, spec))


def convolve(x: Array, kernel: Array, spec: Any, *, coarse: bool = False) -> Array:
    """Convolve by oneDNN.

    Args:
        x: The input.
        kernel: The weights.
        spec: The settings.
        coarse: Whether the cotangent is brought to the input on its own grid, by oneDNN too.
    """
    found: Array = native()[0].convolve(x, kernel, spec, pull=_pull_back_coarse if coarse else None)
    return found


def _pull_back_coarse(cotangent: Array, kernel: Array, shape: tuple[int, ...], spec: Any) -> Array:
    def by_onednn(lhs: Array, rhs: Array, *, dimension_numbers: Any, padding: Any, **settings: Any) -> Array:
        numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        pads = tuple((int(low), int(high)) for low, high in padding)
        own = spec._replace(**settings, padding=pads, dimension_numbers=numbers)
        if refusal(lhs, rhs, own):
            return lax.conv_general_dilated(lhs, rhs, **own._asdict())
        return convolve(lhs, rhs, own)

    return pull_back_coarse(cotangent, kernel, shape, spec, by_onednn)
