"""Marginal winning probabilities as rules: who among the inputs of a neuron made it win.

Cotangents are probabilities divided by activations: ``c = P / a``. So what only moves entries, selects them or scales
them keeps its derivative, and a neuron that won, with ``P = c y``, shares it out at the blocks that add values up, in
proportion to positive inputs times positive weights. Biases and negative inputs never win; a neuron that is
active by its bias alone has nobody to pass its probability on to, and it is lost.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxplain._typing import Array
from jaxplain.core.maps import divide
from jaxplain.graph.predicates import Linear, OfKind, Selecting
from jaxplain.graph.recognition.known_activations import KINDS
from jaxplain.graph.rules import KEEP, Arrays, Call


@dataclass(frozen=True)
class WinningInputs:
    """Share out by ``x+ w+`` at affine blocks, by ``x+`` at averages: ``P_i = sum_j P_j x_i+ w_ij+ / (x+ w+)_j``."""

    name: str = "winners by x+ w+"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``P / x`` for positive inputs and zero for others."""
        (x,) = call.inputs

        def excitation(x: Array) -> Array:
            affine = call.affine
            return affine.product(x, jax.nn.relu(affine.weight)) if affine else call.run(x)[0]

        excited, pull = jax.vjp(excitation, jax.nn.relu(x))
        (shares,) = pull(divide(cotangents[0] * call.outputs[0], excited))
        return (jnp.where(x > 0, shares, jnp.zeros_like(shares)),)


@dataclass(frozen=True)
class WinningTerms:
    """Share out by the positive part of each term of a sum; a constant term never wins."""

    name: str = "winners of a sum"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``P / x`` for positive terms and zero for others."""
        silent = [jnp.zeros_like(value) for value in call.inputs]
        constant = call.run(*silent)[0]
        terms = [
            jax.nn.relu(call.run(*silent[:number], value, *silent[number + 1 :])[0] - constant)
            for number, value in enumerate(call.inputs)
        ]
        share = divide(cotangents[0] * call.outputs[0], sum(terms[1:], terms[0]))
        return tuple(
            call.pull((jnp.where(term > 0, share, jnp.zeros_like(share)),))[number] for number, term in enumerate(terms)
        )


@dataclass(frozen=True)
class PassedOn:
    """Let an activation pass its probability on: ``c y / x``, zero at ``x = 0``."""

    name: str = "passed on"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return ``P / x``."""
        return (divide(cotangents[0] * call.outputs[0], call.inputs[0]),)


WINNING = (
    (OfKind("conv", "dot", "avg_pool", "mean", "reduce_sum", "reduce_window_sum"), WinningInputs()),
    (OfKind("sum", "add", "sub", "add_any"), WinningTerms()),
    (OfKind(*KINDS, "celu", "mish", "squareplus", "soft_sign", "hard_sigmoid", "hard_tanh"), PassedOn()),
    (Linear(), KEEP),
    (Selecting(), KEEP),
)
"""The composite of excitation backpropagation."""
