"""A faster backward of max-pooling on CPUs; values stay what they are, and ties go where XLA sends them."""

from typing import Any

from jaxplain._compat import Equation
from jaxplain.core.ops import max_pool, max_pool_refusal
from jaxplain.graph.walk import Form


def pooling_form(equation: Equation) -> Form | None:
    """Return the form of a max-pooling, or None where its own backward has to serve."""
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

    def form(x: Any) -> list[Any]:
        return [max_pool(x, **knobs)]

    return form
