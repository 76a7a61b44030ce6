"""Convolutions of a traced program in the forms that CPUs run best; see ``jaxplain_kernels.convolution``."""

from typing import Any

from jaxplain._compat import Equation
from jaxplain.core.ops import ConvolutionSpec, convolve
from jaxplain.graph.walk import Form


def spec_of(equation: Equation) -> ConvolutionSpec | None:
    """Return the settings of a convolution, or None for another equation and for gradients of weights."""
    if equation.primitive.name != "conv_general_dilated" or equation.params["batch_group_count"] != 1:
        return None
    return ConvolutionSpec(**{name: equation.params[name] for name in ConvolutionSpec._fields})


def convolution_form(equation: Equation) -> Form | None:
    """Return the form of a convolution, or None for another equation and for gradients of weights."""
    spec = spec_of(equation)
    if spec is None:
        return None

    def form(x: Any, kernel: Any) -> list[Any]:
        return [convolve(x, kernel, spec)]

    return form
