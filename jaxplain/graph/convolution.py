"""Convolutions of a traced program in the forms that CPUs run best; see ``jaxplain_kernels.convolution``."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxplain._typing import PyTree
from jaxplain.core.ops import ConvolutionSpec, convolve
from jaxplain.graph.flow import Step
from jaxplain.graph.walk import Action


def convolution_action(step: Step) -> Action | None:
    """Return the action for a convolution, or None for another equation and for gradients of weights."""
    equation = step.equation
    if equation.primitive.name != "conv_general_dilated":
        return None
    if equation.params["batch_group_count"] != 1:
        return None
    spec = ConvolutionSpec(**{name: equation.params[name] for name in ConvolutionSpec._fields})

    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], None]:
        x, kernel = inputs
        return [convolve(x, kernel, spec)], None

    return act
