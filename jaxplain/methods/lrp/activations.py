"""The pass rule: relevance goes through an activation unchanged, ``R_x = R_y``.

In relevance per unit of activation that is the factor ``f(x) / x``: for GELU and SiLU their gate, for ReLU its
derivative. Where x is zero the factor is its limit f'(0), by the derivative that the network's author gave f, so ReLU
at zero keeps its own; functions with f(0) other than zero (sigmoid, softplus) have no limit there, and what would
arrive at such an x is lost. The factor is never NaN and is differentiable itself.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxplain.graph.recognition.known_activations import KINDS
from jaxplain.graph.rules import Arrays, Call

HOMOGENEOUS = ("relu", "leaky_relu")
"""Activations whose derivative is f(x) / x."""
NAMED = ("celu", "hard_sigmoid", "hard_tanh", "log_sigmoid", "mish", "selu", "soft_sign", "squareplus")
"""Activations known by their names alone."""
PASSED = (*(kind for kind in KINDS if kind not in HOMOGENEOUS), *NAMED, "abs", "clamp", "integer_pow")
"""All other functions of one value that pass relevance on."""


@dataclass(frozen=True)
class Pass:
    """Pass relevance through a function of one value, entry by entry: ``R_x = R_y``, nothing is lost but at x = 0."""

    name: str = "pass"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``c f(x) / x``."""
        (x,), (y,) = call.inputs, call.outputs
        near = jnp.abs(x) < jnp.sqrt(jnp.finfo(x.dtype).tiny)
        # Near zero f(x) / x = f'(x / 2) + O(x^2), in value and in derivative.
        (_, pull), (origin,) = jax.vjp(call.run, jnp.where(near, x / 2, 0)), call.run(jnp.zeros_like(x))
        (slope,) = pull((jnp.ones_like(y),))
        limit = jnp.where(origin == 0, slope, 0)
        return (cotangents[0] * jnp.where(near, limit, y / jnp.where(near, 1, x)),)


@dataclass(frozen=True)
class Extremum:
    """Pass relevance through a maximum or minimum with a constant; of two values that depend on the input give it to
    the winner, ties as the primitive has them.
    """

    name: str = "pass or winner"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``c f(x) / x``, or the block's own derivative."""
        return Pass().backward(call, cotangents) if len(call.inputs) == 1 else call.pull(cotangents)
