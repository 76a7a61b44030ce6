"""A faster backward of max-pooling on CPUs; values stay what they are, and ties go where XLA sends them."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxplain._typing import PyTree
from jaxplain.core.ops import max_pool, max_pool_refusal
from jaxplain.graph.flow import Step
from jaxplain.graph.walk import Action


def pooling_action(step: Step) -> Action | None:
    """Return the action for a max-pooling, or None where its own backward has to serve."""
    equation = step.equation
    if equation.primitive.name != "reduce_window_max":
        return None
    params = equation.params
    knobs = {
        "window": params["window_dimensions"],
        "strides": params["window_strides"],
        "padding": params["padding"],
    }
    spread = (*params["base_dilation"], *params["window_dilation"])
    if any(width != 1 for width in spread) or max_pool_refusal(equation.invars[0].aval.shape, **knobs):
        return None

    def act(run: Callable[..., list[Any]], inputs: Sequence[Any], port: PyTree) -> tuple[list[Any], None]:
        return [max_pool(*inputs, **knobs)], None

    return act
