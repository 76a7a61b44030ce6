"""Shapes that the tests and the benchmark share: name -> (input, kernel, settings), channels last unless numbered."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxplain_kernels.convolution.api import Spec

Case = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]

SMALL: dict[str, Case] = {
    "same": ((2, 7, 6, 3), (3, 3, 3, 4), {"padding": "SAME"}),
    "valid": ((2, 7, 6, 3), (3, 2, 3, 4), {"padding": "VALID"}),
    "strided": ((2, 8, 7, 2), (3, 3, 2, 4), {"padding": "SAME", "window_strides": (2, 3)}),
    "strided past the edge": ((1, 8, 8, 2), (2, 2, 2, 3), {"padding": "VALID", "window_strides": (3, 3)}),
    "stem": ((2, 15, 14, 3), (7, 7, 3, 16), {"padding": ((3, 3), (3, 3)), "window_strides": (2, 2)}),
    "stem, stride 3": ((1, 10, 11, 2), (4, 5, 2, 16), {"padding": ((1, 2), (0, 4)), "window_strides": (3, 2)}),
    "stem, cut at the end": ((1, 12, 12, 2), (3, 3, 2, 8), {"padding": ((1, -2), (0, -1)), "window_strides": (2, 2)}),
    "stem, one axis": ((2, 17, 2), (5, 2, 8), {"padding": ((2, 2),), "window_strides": (4,)}),
    "stem, channels first": (
        (2, 3, 12, 13),
        (16, 3, 5, 5),
        {"padding": "SAME", "window_strides": (2, 2), "dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
    "patches": ((2, 8, 8, 3), (4, 4, 3, 64), {"padding": "VALID", "window_strides": (4, 4)}),
    "uneven padding": ((1, 6, 6, 1), (4, 3, 1, 2), {"padding": ((3, 0), (1, 5))}),
    "negative padding": ((1, 8, 8, 1), (3, 3, 1, 2), {"padding": ((-1, 0), (0, -2))}),
    "larger than its input": ((2, 2, 2, 3), (3, 3, 3, 4), {"padding": ((1, 1), (1, 1))}),
    "larger than its input, cut": ((2, 2, 5, 3), (3, 3, 3, 4), {"padding": ((2, -1), (-1, 2))}),
    "larger than its input, spread": ((1, 4, 9, 2), (3, 3, 2, 3), {"padding": "SAME", "rhs_dilation": (2, 2)}),
    "spread kernel": ((1, 9, 9, 2), (3, 3, 2, 3), {"padding": "SAME", "rhs_dilation": (2, 1)}),
    "transposed": ((1, 5, 4, 2), (3, 3, 2, 3), {"padding": ((1, 2), (2, 1)), "lhs_dilation": (2, 3)}),
    "one axis": ((2, 9, 2), (3, 2, 3), {"padding": "SAME", "window_strides": (2,)}),
    "three axes": ((1, 5, 4, 6, 2), (3, 2, 3, 2, 3), {"padding": "SAME", "window_strides": (1, 2, 2)}),
    "channels first": ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": "SAME", "dimension_numbers": ("NCHW", "OIHW", "NCHW")}),
    "pointwise": ((2, 5, 6, 3), (1, 1, 3, 4), {"padding": "SAME"}),
    "pointwise, strided": ((2, 5, 6, 3), (1, 1, 3, 4), {"padding": "VALID", "window_strides": (2, 3)}),
    "pointwise, channels first": (
        (2, 3, 5, 6),
        (4, 3, 1, 1),
        {"padding": "SAME", "window_strides": (2, 1), "dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
    "pointwise, mixed axes": (
        (5, 3, 2, 6),
        (1, 4, 1, 3),
        {"padding": "VALID", "dimension_numbers": ("HCNW", "HOWI", "CWNH")},
    ),
}
LARGE: dict[str, Case] = {
    "resnet stem": ((8, 224, 224, 3), (7, 7, 3, 64), {"padding": ((3, 3), (3, 3)), "window_strides": (2, 2)}),
    "resnet 3x3": ((8, 28, 28, 128), (3, 3, 128, 128), {"padding": "SAME"}),
    "resnet 3x3, strided": (
        (8, 56, 56, 128),
        (3, 3, 128, 128),
        {"padding": ((1, 1), (1, 1)), "window_strides": (2, 2)},
    ),
    "resnet 1x1": ((8, 56, 56, 256), (1, 1, 256, 64), {"padding": "VALID"}),
    "resnet 1x1, strided": ((8, 56, 56, 256), (1, 1, 256, 512), {"padding": "VALID", "window_strides": (2, 2)}),
    "resnet 1x1, widening": ((8, 56, 56, 64), (1, 1, 64, 256), {"padding": "VALID"}),
    "resnet 1x1, deep": ((8, 14, 14, 1024), (1, 1, 1024, 256), {"padding": "VALID"}),
    "resnet 1x1, last": ((8, 7, 7, 512), (1, 1, 512, 2048), {"padding": "VALID"}),
    "resnet 3x3, first": ((8, 56, 56, 64), (3, 3, 64, 64), {"padding": "SAME"}),
    "resnet 3x3, last": ((8, 7, 7, 512), (3, 3, 512, 512), {"padding": "SAME"}),
    "resnet 3x3, last of small images": ((64, 2, 2, 512), (3, 3, 512, 512), {"padding": "SAME"}),
    "gray stem": ((8, 224, 224, 1), (3, 3, 1, 32), {"padding": ((1, 1), (1, 1)), "window_strides": (2, 2)}),
    "convnext stem": ((8, 224, 224, 3), (4, 4, 3, 96), {"padding": "VALID", "window_strides": (4, 4)}),
    "convnext 2x2": ((8, 56, 56, 96), (2, 2, 96, 192), {"padding": "VALID", "window_strides": (2, 2)}),
    "resnet3d stem, small": (
        (1, 4, 28, 28, 3),
        (3, 7, 7, 3, 64),
        {"padding": ((1, 1), (3, 3), (3, 3)), "window_strides": (1, 2, 2)},
    ),
    "resnet3d 3x3x3, strided": (
        (1, 4, 14, 14, 64),
        (3, 3, 3, 64, 128),
        {"padding": ((1, 1),) * 3, "window_strides": (2, 2, 2)},
    ),
    "resnet3d 3x3x3": ((1, 4, 14, 14, 64), (3, 3, 3, 64, 64), {"padding": "SAME"}),
    "unet, up": ((4, 28, 28, 128), (2, 2, 128, 64), {"padding": ((1, 1), (1, 1)), "lhs_dilation": (2, 2)}),
    "vit patches": ((8, 224, 224, 3), (16, 16, 3, 768), {"padding": "VALID", "window_strides": (16, 16)}),
}
NAMES = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def plain_and_spec(case: Case) -> tuple[Callable[[jax.Array, jax.Array], jax.Array], Spec]:
    """Return a case's convolution as JAX has it, and its settings as the traced equation has them."""
    shape, kernel, settings = case
    n = len(shape) - 2
    settings = {"window_strides": (1,) * n, "dimension_numbers": NAMES[n], **settings}

    def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, **settings)

    (equation,) = jax.make_jaxpr(plain)(jnp.zeros(shape), jnp.zeros(kernel)).eqns
    return plain, Spec(**{name: equation.params[name] for name in Spec._fields})
