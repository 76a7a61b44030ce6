"""Rules for what transformers add to a network, after AttnLRP (Achtibat et al. 2024, arXiv:2402.05602).

- Softmax: the Taylor expansion at x, ``R_i = x_i (R_i' - s_i sum_j R_j')`` with R' the relevance of the outputs. In
  relevance per unit of activation that is the plain derivative, so softmax keeps it. It does not conserve: the
  expansion's constant term takes its share. A masked entry (x = -inf) receives nothing.
- Products of two values that both depend on the input: each receives half (the uniform rule, ``HalfEach``). No
  denominator appears, so none is stabilized; conserved.
- LayerNorm, RMSNorm, GroupNorm: the scale 1/sigma counts as a constant (``HeldScale``); what is left is linear.
  Conserved, but for the bias behind it, which takes its share. LXT does the same for LayerNorm, and the identity rule
  ``R_x = R_y`` for RMSNorm, which is the same there; an identity rule for LayerNorm would also pass by the subtraction
  of the mean, which here receives its LRP-0 share.
"""

from dataclasses import dataclass

import jax

from jaxplain._errors import InputError
from jaxplain.graph.rules import Arrays, Call


@dataclass(frozen=True)
class HalfEach:
    """Give half of a product's relevance to each factor, in proportion to contributions; of a square, all to its root.

    ``R_A = A * (R / (2 A B)) B^T`` for a matrix product ``A B``, and likewise for B.
    """

    name: str = "half each"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return the pull-back of half the cotangent."""
        return call.pull(tuple(g / 2 for g in cotangents))


@dataclass(frozen=True)
class HeldScale:
    """Hold the statistic by which a normalization divides constant: ``R_i = x_i sum_j (dy_j/dx_i) R_j / y_j``."""

    name: str = "held scale"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return the pull-back at constant scale."""
        if call.held is None:
            raise InputError(
                f"lrp: the rule {self.name} is for normalizations, and the block {call.block.kind!r} "
                f"({call.block.source}) is none; limit it to OfKind('layer_norm', 'rms_norm', 'group_norm')."
            )
        return jax.vjp(call.held, *call.inputs)[1](cotangents)
