"""The form that oneDNN computes, where the optional distribution jaxplain-native (kernels/native) is installed."""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any

import jax
from jax import lax

Array = jax.Array
Pull = Callable[..., Array]


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


def convolve(x: Array, kernel: Array, spec: Any, pull: Pull | None = None) -> Array:
    """Convolve by oneDNN.

    Args:
        x: The input.
        kernel: The weights.
        spec: The settings.
        pull: How a cotangent is brought to the input by one other convolution, which oneDNN computes too; its own way
            if None.
    """
    found: Array = native()[0].convolve(x, kernel, spec) if pull is None else _pulled_by(pull, spec, x, kernel)
    return found


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _pulled_by(pull: Pull, spec: Any, x: Array, kernel: Array) -> Array:
    return convolve(x, kernel, spec)


def _forward(pull: Pull, spec: Any, x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return convolve(x, kernel, spec), (x, kernel)


def _backward(pull: Pull, spec: Any, kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = kept

    def by_onednn(lhs: Array, rhs: Array, *, dimension_numbers: Any, **settings: Any) -> Array:
        numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        padding = tuple((int(low), int(high)) for low, high in settings.pop("padding"))
        own = spec._replace(**settings, padding=padding, dimension_numbers=numbers)
        if refusal(lhs, rhs, own):
            return lax.conv_general_dilated(lhs, rhs, **own._asdict())
        return convolve(lhs, rhs, own)

    (of_kernel,) = jax.vjp(lambda kernel: lax.conv_general_dilated(x, kernel, **spec._asdict()), kernel)[1](cotangent)
    return pull(cotangent, kernel, x.shape, spec, by_onednn), of_kernel


_pulled_by.defvjp(_forward, _backward)
