"""DeepLIFT's rules: what of the change of an output, from a reference to the example, each input contributes.

A cotangent is a multiplier, the contribution of a value divided by its difference from the reference. Every rule is
complete: ``sum(m * (x - x'))`` over the inputs of a block is the change of its output times the multiplier that came
in. So the map ``(x - x') * m`` of a network sums to ``f(x) - f(x')``, to rounding, whatever blocks it is made of.

Primed values are those at the reference; rules record them there and meet them again as ``call.recorded``.
"""

from dataclasses import dataclass
from typing import Any

import jax

from jaxplain._typing import PyTree
from jaxplain.graph.composites.difference.choices import Choice, SameEntries, Winner
from jaxplain.graph.composites.difference.rescale import Product, Rescale, Through
from jaxplain.graph.composites.difference.softmax import Softmax
from jaxplain.graph.placing import Placement, place_rules
from jaxplain.graph.predicates import Linear, OfKind
from jaxplain.graph.recognition.known_activations import ALIASES, KINDS
from jaxplain.graph.rules import KEEP, Arrays, Call

ENTRYWISE = (
    *KINDS, *ALIASES,
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "celu", "clamp", "cos", "cosh",
    "digamma", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "hard_sigmoid", "hard_tanh", "integer_pow",
    "lgamma", "log", "log1p", "log_sigmoid", "logistic", "mish", "pow", "quotient", "rem", "round", "rsqrt", "sign",
    "sin", "sinh", "soft_sign", "sqrt", "squareplus", "tan",
)  # fmt: skip
"""Kinds whose outputs follow from one entry of their inputs, or from one of each of two."""


_PARTS: tuple[tuple[Any, Any], ...] = (
    (OfKind(*ENTRYWISE), Rescale()),
    (OfKind("bilinear", "square"), Product()),
    (OfKind("softmax"), Softmax()),
    (OfKind("log_softmax"), Softmax(logarithm=True)),
    (OfKind("max", "max_pool", "reduce_max", "cummax"), Winner()),
    (OfKind("min", "reduce_window_min", "reduce_min", "cummin"), Winner(smallest=True)),
    (OfKind("select_n"), Choice()),
    (OfKind("gather", "dynamic_slice", "dynamic_update_slice", "scatter"), SameEntries()),
    (OfKind("stop_gradient"), Through()),
    (Linear(), KEEP),
)


@dataclass(frozen=True)
class Normalization:
    """Normalization layers: their parts one by one, with balanced weights where a value meets its own scale.

    At a reference without variance, such as a black image, the reciprocal deviation is hundreds of times what it is at
    the example. By the product rule the value and its scale would contribute that many times the change, and cancel.
    """

    name: str = "normalization"

    def record(self, call: Call) -> PyTree:
        """Record what the rules of the parts do."""
        return _of_parts(call).record(call.inputs[0])

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Pull ``g`` back through the parts."""
        placement = _of_parts(call)
        _, pull = jax.vjp(lambda x: placement.value(x, recorded=call.recorded), *call.inputs)
        found: Arrays = pull(cotangents[0])
        return found


def _of_parts(call: Call) -> Placement:
    rules = ((OfKind("bilinear", "quotient"), Rescale(balanced=True)), *_PARTS)
    return place_rules(lambda x: call.run(x)[0], call.inputs[0], rules, unknown="raise", where="deeplift")


DEEPLIFT = ((OfKind("layer_norm", "group_norm", "rms_norm"), Normalization()), *_PARTS)
"""The composite of DeepLIFT with the Rescale rule."""
