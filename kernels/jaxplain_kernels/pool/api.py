"""Max-pooling with an index-based backward.

XLA's own backward, select-and-scatter, searches every window once more and adds to the winners one by one; on CPUs it
takes many times the forward. Here the forward keeps the winner's number in each window, one byte, and the backward is
a sum of shifted selections without any scatter.

Ties go to the first position of the window in row-major order, as in select-and-scatter.
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
from jax import lax

from jaxplain_kernels import optional
from jaxplain_kernels.choice import Form, Op, Winner
from jaxplain_kernels.pool.xla import pool_with_winners, send_back

Array = jax.Array
LARGEST_WINDOW = 127
"""Positions of a window that one byte can number."""


class Spec(NamedTuple):
    """What is static: sizes along every axis of the input."""

    shape: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dtype: str = "float32"


def max_pool(
    x: Array,
    *,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    implementation: str = "auto",
) -> Array:
    """Take the largest value of every window; padding never wins over a value.

    Args:
        x: Any floating array.
        window: Size of the window along every axis, 1 for batch and channels.
        strides: Its step along every axis.
        padding: Positions added before and after along every axis.
        implementation: "auto", or a form: "xla" (XLA's own backward), "winners" (index-based), "native" (the same by
            jaxplain-native, where it is installed).

    Raises:
        NotImplementedError: The form asked for by name cannot serve, with the reason.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.array([1.0, 5.0, 2.0, 3.0]), window=(2,), strides=(2,), padding=((0, 0),))
        Array([5., 3.], dtype=float32)
    """
    spec = Spec(
        x.shape, tuple(window), tuple(strides), tuple((int(low), int(high)) for low, high in padding), x.dtype.name
    )
    found: Array = OP.run(spec, x, implementation=implementation)
    return found


def refusal(spec: Spec, platform: str = "") -> str:
    """Return why the index-based form cannot serve, or ``""``."""
    if prod(spec.window) > LARGEST_WINDOW:
        return f"a window of {prod(spec.window)} positions has more than {LARGEST_WINDOW}"
    if any(low < 0 or high < 0 for low, high in spec.padding):
        return f"padding {spec.padding} cuts the input"
    return ""


def _plain(spec: Spec, x: Array) -> Array:
    return lax.reduce_window(x, -float("inf"), lax.max, spec.window, spec.strides, spec.padding)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _pool(spec: Spec, x: Array) -> Array:
    return _plain(spec, x)


def _forward(spec: Spec, x: Array) -> tuple[Array, Array]:
    # Without the barrier the producer of x is fused into each of the window's slices and computed as often.
    return pool_with_winners(lax.optimization_barrier(x), spec.window, spec.strides, spec.padding)


def _backward(spec: Spec, winners: Array, cotangent: Array) -> tuple[Array]:
    return (send_back(cotangent, winners, spec.shape, spec.window, spec.strides, spec.padding),)


_pool.defvjp(_forward, _backward)


def _no_native(spec: Spec, platform: str) -> str:
    if platform != "cpu":
        return "it serves CPUs"
    module, reason = optional.native()
    if module is None:
        return reason
    if spec.dtype != "float32":
        return f"it computes in float32 alone, and this is {spec.dtype}"
    return str(module.pool_refusal(spec.shape, spec.window, spec.strides, spec.padding))


def _overlap(spec: Spec) -> bool:
    """Tell whether windows overlap; where they do not, the shifted selections are plain interleaving, and faster."""
    return any(width > step for width, step in zip(spec.window, spec.strides, strict=True))


def _native(spec: Spec, x: Array) -> Array:
    return _with_winners(spec, x)[0]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _with_winners(spec: Spec, x: Array) -> tuple[Array, Array]:
    found: tuple[Array, Array] = optional.native()[0].pool_with_winners(x, spec.window, spec.strides, spec.padding)
    return found


def _with_winners_forward(spec: Spec, x: Array) -> tuple[tuple[Array, Array], Array]:
    found = _with_winners(spec, x)
    return found, found[1]


def _with_winners_backward(spec: Spec, winners: Array, cotangents: tuple[Array, Any]) -> tuple[Array]:
    return (_sent_back(spec, winners, cotangents[0]),)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _sent_back(spec: Spec, winners: Array, cotangent: Array) -> Array:
    """Send cotangents back natively; what derivatives of this need is left to XLA."""
    found: Array = optional.native()[0].send_back(cotangent, winners, *spec[:4])
    return found


def _sent_back_forward(spec: Spec, winners: Array, cotangent: Array) -> tuple[Array, tuple[Array, Array]]:
    return _sent_back(spec, winners, cotangent), (winners, cotangent)


def _sent_back_backward(spec: Spec, kept: tuple[Array, Array], direction: Array) -> tuple[None, Array]:
    winners, cotangent = kept
    (found,) = jax.vjp(lambda cotangent: send_back(cotangent, winners, *spec[:4]), cotangent)[1](direction)
    return None, found


_with_winners.defvjp(_with_winners_forward, _with_winners_backward)
_sent_back.defvjp(_sent_back_forward, _sent_back_backward)


def _typical() -> dict[str, Spec]:
    from jaxplain_kernels.pool.cases import LARGE

    return {name: Spec(*case) for name, case in LARGE.items()}


OP = Op(
    "pool",
    (Form("xla", _plain), Form("winners", _pool, refusal), Form("native", _native, _no_native)),
    (
        Winner(
            "native", "faster forward and backward where windows overlap (results/cpu/native.json)", ("cpu",), _overlap
        ),
        Winner("winners", "backward 3.9 to 11 times as fast as XLA's (results/cpu/kernels.json, pool)", ("cpu",)),
    ),
    _typical,
)
