"""A faster input gradient of convolutions inside loops on CPUs; values and derivatives stay what they are.

JAX pulls a convolution's cotangent back by a convolution whose kernel has input and output channels swapped by its
dimension numbers. Outside a loop XLA turns that kernel around first; inside a ``while`` loop, which every scan over
samples is, it does not, and XLA:CPU leaves its fast path: ten times slower (jaxlib 0.10.2). Here the kernel is turned
around in the program, once more written as an ordinary convolution.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain._typing import Array, PyTree
from jaxplain.graph.flow import Step
from jaxplain.graph.walk import Action


def convolution_action(step: Step) -> Action | None:
    """Return the action for a convolution, or None where it stays as it is: in groups, or inside a custom rule."""
    equation = step.equation
    if equation.primitive.name != "conv_general_dilated":
        return None
    if (equation.params["feature_group_count"], equation.params["batch_group_count"]) != (1, 1):
        return None
    convolve = _convolution(tuple(sorted(equation.params.items(), key=lambda item: item[0])))

    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], None]:
        return [convolve(*inputs)], None

    return act


def _convolution(params: tuple[tuple[str, Any], ...]) -> Callable[[Array, Array], Array]:
    settings = dict(params)
    run = partial(lax.conv_general_dilated_p.bind, **settings)
    convolve = jax.custom_vjp(lambda x, kernel: run(x, kernel))

    def forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        return run(x, kernel), (x, kernel)

    def backward(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
        x, kernel = kept
        (of_kernel,) = jax.vjp(lambda kernel: run(x, kernel), kernel)[1](cotangent)
        return _input_gradient(cotangent, kernel, x, settings), of_kernel

    convolve.defvjp(forward, backward)
    return convolve


def _input_gradient(cotangent: Array, kernel: Array, x: Array, settings: dict[str, Any]) -> Array:
    """Convolve the cotangent with the kernel turned around: space reversed, input and output channels swapped."""
    numbers = settings["dimension_numbers"]
    turned = jnp.swapaxes(jnp.flip(kernel, numbers.rhs_spec[2:]), *numbers.rhs_spec[:2])
    padding = [
        _padding(
            x.shape[numbers.lhs_spec[2 + axis]],
            cotangent.shape[numbers.out_spec[2 + axis]],
            kernel.shape[numbers.rhs_spec[2 + axis]],
            before,
            settings["window_strides"][axis],
            settings["lhs_dilation"][axis],
            settings["rhs_dilation"][axis],
        )
        for axis, (before, _) in enumerate(settings["padding"])
    ]
    result = lax.conv_general_dilated(
        cotangent,
        turned.astype(cotangent.dtype),
        window_strides=settings["lhs_dilation"],
        padding=padding,
        lhs_dilation=settings["window_strides"],
        rhs_dilation=settings["rhs_dilation"],
        dimension_numbers=lax.ConvDimensionNumbers(numbers.out_spec, numbers.rhs_spec, numbers.lhs_spec),
        precision=settings["precision"],
        preferred_element_type=settings["preferred_element_type"],
    )
    return result.astype(x.dtype)


def _padding(size: int, out: int, width: int, before: int, stride: int, dilation: int, spacing: int) -> tuple[int, int]:
    """Return the padding with which the transposed convolution has the size of the input."""
    reach = (width - 1) * spacing
    first = reach - before
    return first, (size - 1) * dilation + 1 + reach - ((out - 1) * stride + 1) - first
