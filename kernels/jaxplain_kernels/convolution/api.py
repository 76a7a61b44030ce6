"""Convolution whose input gradient is chosen by shape.

JAX pulls a cotangent back by a convolution whose kernel has input and output channels swapped by its dimension
numbers. Outside a loop XLA turns that kernel around first; inside a ``while`` loop it does not, and XLA:CPU leaves its
fast path, ten times slower (jaxlib 0.10.2). Here the kernel is turned around in the program.

Three forms, by shape:

* a 1x1 kernel is a matrix product, forward and backward;
* a strided convolution of few input channels, such as the stem of an image network, is pulled back on the coarse grid,
  all residues at once, and interleaved: no product with the zeros between the rows of a dilated cotangent;
* everything else is pulled back by one ordinary convolution.
"""

from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
from jax import lax

from jaxplain_kernels.convolution.xla import matrix_product, pull_back, pull_back_coarse

Array = jax.Array


FEWEST_COLUMNS = 8


class Spec(NamedTuple):
    """The static settings of ``lax.conv_general_dilated``, as its equation has them."""

    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    dimension_numbers: lax.ConvDimensionNumbers
    precision: Any = None
    preferred_element_type: Any = None


def convolve(x: Array, kernel: Array, spec: Spec) -> Array:
    """Convolve without groups.

    Args:
        x: The input.
        kernel: The weights.
        spec: Settings; axes as in its dimension numbers.

    Returns:
        What ``lax.conv_general_dilated`` returns, up to rounding.
    """
    if is_pointwise(kernel.shape, spec):
        return matrix_product(x, kernel, spec)
    return _convolve(spec, x, kernel)


def is_pointwise(kernel: tuple[int, ...], spec: Spec) -> bool:
    """Tell whether the kernel covers one position and nothing is padded or dilated."""
    space = [kernel[axis] for axis in spec.dimension_numbers.rhs_spec[2:]]
    plain = all(pads == (0, 0) for pads in spec.padding) and all(by == 1 for by in spec.lhs_dilation)
    return plain and all(width == 1 for width in space)


def is_coarse(kernel: tuple[int, ...], spec: Spec) -> bool:
    """Tell whether the input gradient is made on the coarse grid.

    All residues together must be no wider than the cotangent, and wide enough for a matrix product: four columns, the
    3x3 stem of gray images, took 1.3 times as long as the ordinary form.
    """
    channels_out, channels_in = (kernel[axis] for axis in spec.dimension_numbers.rhs_spec[:2])
    strided = prod(spec.window_strides) > 1 and all(low >= 0 for low, _ in spec.padding)
    undilated = all(by == 1 for by in (*spec.lhs_dilation, *spec.rhs_dilation))
    return strided and undilated and FEWEST_COLUMNS <= prod(spec.window_strides) * channels_in <= channels_out


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(spec: Spec, x: Array, kernel: Array) -> Array:
    return _plain(spec, x, kernel)


def _plain(spec: Spec, x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(x, kernel, **spec._asdict())


def _forward(spec: Spec, x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _plain(spec, x, kernel), (x, kernel)


def _backward(spec: Spec, kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = kept
    (of_kernel,) = jax.vjp(lambda kernel: _plain(spec, x, kernel), kernel)[1](cotangent)
    pull = pull_back_coarse if is_coarse(kernel.shape, spec) else pull_back
    return pull(cotangent, kernel, x.shape, spec).astype(x.dtype), of_kernel


_convolve.defvjp(_forward, _backward)
