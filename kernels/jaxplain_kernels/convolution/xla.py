"""The plain-JAX forms of a convolution and of its input gradient."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def thinned(x: Array, spec: Any) -> Array:
    """Return every stride-th position of the input: what a kernel of one position reads."""
    steps = [1] * x.ndim
    for axis, step in zip(spec.dimension_numbers.lhs_spec[2:], spec.window_strides, strict=True):
        steps[axis] = step
    return lax.slice(x, [0] * x.ndim, x.shape, steps) if prod(steps) > 1 else x


def matrix_product(x: Array, kernel: Array, spec: Any) -> Array:
    """Apply a kernel of one position as a matrix product over channels, after taking every stride-th position."""
    numbers = spec.dimension_numbers
    contract = (((numbers.lhs_spec[1],), (numbers.rhs_spec[1],)), ((), ()))
    result = lax.dot_general(
        thinned(x, spec), kernel, contract, precision=spec.precision, preferred_element_type=spec.preferred_element_type
    )
    # Axes now: those of x without its channels, then the kernel's without its input channels, all 1 but the outputs.
    outputs = kernel.shape[numbers.rhs_spec[0]]
    result = result.reshape((*result.shape[: x.ndim - 1], outputs))
    kept = [axis for axis in range(x.ndim) if axis != numbers.lhs_spec[1]]
    place = {axis: position for position, axis in enumerate(kept)}
    order = [0] * x.ndim
    order[numbers.out_spec[0]] = place[numbers.lhs_spec[0]]
    order[numbers.out_spec[1]] = x.ndim - 1
    for out_axis, axis in zip(numbers.out_spec[2:], numbers.lhs_spec[2:], strict=True):
        order[out_axis] = place[axis]
    return result if order == list(range(x.ndim)) else jnp.transpose(result, order)


def in_room(x: Array, kernel: Array, **settings: Any) -> Array:
    """Convolve; where the kernel is larger than the input, padding and dilation are written out before.

    XLA:CPU leaves its fast path for such a kernel: 3x3 on 2x2 took 40 times as long (jaxlib 0.10.2). The barrier keeps
    it from taking the padding back into the convolution.
    """
    numbers, padding, dilation = (settings[name] for name in ("dimension_numbers", "padding", "lhs_dilation"))
    sizes = [x.shape[axis] for axis in numbers.lhs_spec[2:]]
    widths = [kernel.shape[axis] for axis in numbers.rhs_spec[2:]]
    reach = [by * (width - 1) for width, by in zip(widths, settings["rhs_dilation"], strict=True)]
    # Spread far by the dilation, as from the patches of a ViT, the input would fill the memory.
    small = all((size - 1) * step <= 2 * most for size, step, most in zip(sizes, dilation, reach, strict=True))
    if small and any(0 < size <= most for size, most in zip(sizes, reach, strict=True)):
        pads = [(0, 0, 0)] * x.ndim
        for axis, (low, high), step in zip(numbers.lhs_spec[2:], padding, dilation, strict=True):
            pads[axis] = (max(low, 0), max(high, 0), step - 1)
        x = lax.optimization_barrier(lax.pad(x, jnp.zeros((), x.dtype), pads))
        left = [(min(low, 0), min(high, 0)) for low, high in padding]
        settings |= {"padding": left, "lhs_dilation": (1,) * len(sizes)}
    return lax.conv_general_dilated(x, kernel, **settings)


def pull_back(cotangent: Array, kernel: Array, shape: Sequence[int], spec: Any) -> Array:
    """Convolve the cotangent with the kernel turned around: space reversed, input and output channels swapped."""
    numbers = spec.dimension_numbers
    turned = jnp.swapaxes(jnp.flip(kernel, numbers.rhs_spec[2:]), *numbers.rhs_spec[:2])
    padding = [
        _padding(
            shape[numbers.lhs_spec[2 + axis]],
            cotangent.shape[numbers.out_spec[2 + axis]],
            (kernel.shape[numbers.rhs_spec[2 + axis]] - 1) * spec.rhs_dilation[axis],
            before,
            spec.window_strides[axis],
            spec.lhs_dilation[axis],
        )
        for axis, (before, _) in enumerate(spec.padding)
    ]
    return in_room(
        cotangent,
        turned.astype(cotangent.dtype),
        window_strides=spec.lhs_dilation,
        padding=padding,
        lhs_dilation=spec.window_strides,
        rhs_dilation=spec.rhs_dilation,
        dimension_numbers=lax.ConvDimensionNumbers(numbers.out_spec, numbers.rhs_spec, numbers.lhs_spec),
        precision=spec.precision,
        preferred_element_type=spec.preferred_element_type,
    )


def _padding(size: int, out: int, reach: int, before: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding with which the transposed convolution has the size of the input."""
    first = reach - before
    return first, (size - 1) * dilation + 1 + reach - ((out - 1) * stride + 1) - first


def pull_back_coarse(
    cotangent: Array,
    kernel: Array,
    shape: Sequence[int],
    spec: Any,
    convolve: Callable[..., Array] = lax.conv_general_dilated,
) -> Array:
    """Pull a strided convolution's cotangent back on its own grid, then interleave.

    With stride s and padding p, input position ``i = q s + r - p`` receives ``sum_t g[q - t] w[r + s t]``: for each of
    the s residues r an ordinary convolution over q. All residues are output channels of one convolution.
    """
    numbers, strides = spec.dimension_numbers, spec.window_strides
    n = len(strides)
    weights = jnp.transpose(kernel, (*numbers.rhs_spec[2:], *numbers.rhs_spec[:2])).astype(cotangent.dtype)
    g = jnp.transpose(cotangent, (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1]))
    sizes = [shape[axis] for axis in numbers.lhs_spec[2:]]
    lows = [low for low, _ in spec.padding]
    taps = [-(-width // step) for width, step in zip(weights.shape[:n], strides, strict=True)]
    coarse = [-(-(size + low) // step) for size, low, step in zip(sizes, lows, strides, strict=True)]
    filled = [(0, t * step - width) for t, step, width in zip(taps, strides, weights.shape[:n], strict=True)]
    weights = jnp.pad(weights, [*filled, (0, 0), (0, 0)])
    channels_out, channels_in = weights.shape[n:]
    # (t1, s1, t2, s2, ..., out, in) -> (t1, t2, ..., out, s1, s2, ..., in), taps reversed
    split = weights.reshape(
        [size for pair in zip(taps, strides, strict=True) for size in pair] + [channels_out, channels_in]
    )
    order = [*range(0, 2 * n, 2), 2 * n, *range(1, 2 * n, 2), 2 * n + 1]
    split = jnp.flip(jnp.transpose(split, order), range(n))
    split = split.reshape(*taps, channels_out, prod(strides) * channels_in)
    space = "DHW"[-n:] if n <= 3 else "".join(chr(ord("a") + axis) for axis in range(n))
    result = convolve(
        g,
        split,
        window_strides=(1,) * n,
        padding=[(t - 1, q - out) for t, q, out in zip(taps, coarse, g.shape[1:-1], strict=True)],
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        precision=spec.precision,
        preferred_element_type=spec.preferred_element_type,
    )
    batch = result.shape[0]
    parts = result.reshape(batch, *coarse, *strides, channels_in)
    woven = jnp.transpose(parts, [0, *(axis for i in range(n) for axis in (1 + i, 1 + n + i)), 1 + 2 * n])
    whole = woven.reshape(batch, *(q * step for q, step in zip(coarse, strides, strict=True)), channels_in)
    ends = [low + size for low, size in zip(lows, sizes, strict=True)]
    own = lax.slice(whole, [0, *lows, 0], [batch, *ends, channels_in])
    back = [0] * (n + 2)
    for position, axis in enumerate((numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1])):
        back[axis] = position
    return own if back == list(range(n + 2)) else jnp.transpose(own, back)
