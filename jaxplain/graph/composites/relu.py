"""What guided backpropagation and the deconvnet do at a ReLU, as rules."""

from dataclasses import dataclass

import jax

from jaxplain.graph.predicates import OfKind
from jaxplain.graph.rules import Arrays, Call

RELUS = OfKind("relu", "relu6")
"""The activations that are meant; others keep their derivative."""


@dataclass(frozen=True)
class GuidedReLU:
    """Let positive cotangents through where the activation's own derivative does.

    At zero the derivative is the block's own: 0 for ``jax.nn.relu``, 1/2 for ``jnp.maximum(x, 0)``.
    """

    name: str = "guided"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``relu(g) * relu'(x)``."""
        return call.pull(tuple(jax.nn.relu(cotangent) for cotangent in cotangents))


@dataclass(frozen=True)
class DeconvReLU:
    """Let positive cotangents through, wherever the activation stands."""

    name: str = "deconvnet"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``relu(g)``."""
        return tuple(jax.nn.relu(cotangent) for cotangent in cotangents)


GUIDED = ((RELUS, GuidedReLU()),)
"""The composite of guided backpropagation."""
DECONVNET = ((RELUS, DeconvReLU()),)
"""The composite of the deconvnet."""
