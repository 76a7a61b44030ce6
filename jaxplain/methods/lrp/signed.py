"""Rules that treat positive and negative contributions apart: z-plus, alpha-beta and gamma.

With contributions ``q_ij = x_i w_ij``, their sums ``P_j`` of the positive and ``N_j`` of the negative ones, and
``z_j = P_j + N_j + b_j``, each is ``R_i = sum_j (q+_ij k+_j + q-_ij k-_j)``:

    z-plus       k+ = R / (P + b+)                   k- = 0
    alpha-beta   k+ = alpha R / (P + b+)             k- = -beta R / (N + b-),   beta = alpha - 1
    gamma        k+ = (1 + gamma) k,  k- = k,        k = R / (z + gamma (P + b+))   where z >= 0
                 k+ = k,  k- = (1 + gamma) k,        k = R / (z + gamma (N + b-))   where z < 0

- Negative inputs: a positive contribution is ``x+ w+`` or ``x- w-``; both count. Where inputs are
  known to be non-negative (``jaxplain.graph.signs``), as behind a ReLU, z-plus and alpha-beta leave the second product
  out: it is an exact zero, so maps are the same, and NaN where they would be with it.
- Bias: its positive part belongs to ``P``, its negative part to ``N``, and what it gets leaves the map. z-plus and
  alpha-beta may leave it out (``bias="none"``) or count it whole in both (``"whole"``).
- Stabilizer: ``epsilon * sign`` on each denominator, ``sign(0) = +1``.
- Padding: contributes nothing.
- Conserved, without bias and stabilizer: all under gamma; under z-plus all but that of outputs without a positive
  contribution; under alpha-beta an output without negative contributions gives ``alpha R``, one without positive ones
  ``-beta R``.

``P`` and ``N`` are bilinear in the parts of x and w, so pulling ``k`` back by them divides relevance; gamma needs only
``|q| = |x| |w|``, since ``q+ = (q + |q|) / 2``, and no difference of large numbers: all its terms have z's sign.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from jaxplain._pytree import registered
from jaxplain._typing import Array
from jaxplain.graph.recognition.affine import Affine
from jaxplain.graph.rules import Arrays, Call
from jaxplain.methods.lrp.shares import EPSILON, affine_of, shares, sign

Bias = Literal["part", "whole", "none"]
"""What a bias counts for: its part of the sign in question, all of it, or nothing."""


@registered
@dataclass(frozen=True)
class ZPlus:
    """The z-plus rule: positive contributions alone (Montavon et al. 2017, doi:10.1016/j.patcog.2016.11.008).

    Args:
        bias: "part": the positive part of the bias takes its share; "whole": the bias as it is; "none": it has none.
        epsilon: The stabilizer, not negative.
    """

    bias: Bias = field(default="part", metadata={"static": True})
    epsilon: float | Array = EPSILON
    name: ClassVar[str] = "z-plus"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance per unit of input."""
        affine, relevance = affine_of(call, self.name), cotangents[0] * call.outputs[0]
        total, back = _positive(affine, call)
        return (back(shares(relevance, total + _bias(affine.shift, self.bias, jnp.maximum), self.epsilon)),)


@registered
@dataclass(frozen=True)
class AlphaBeta:
    """The alpha-beta rule with ``beta = alpha - 1`` (Bach et al. 2015, equation 60).

    Args:
        alpha: Weight of positive contributions, at least 1; with 1 the rule is z-plus, which costs half.
        bias: "part": the part of the sign in question takes its share; "whole": the bias as it is; "none": it has none.
        epsilon: The stabilizer, not negative.
    """

    alpha: float | Array = 2.0
    bias: Bias = field(default="part", metadata={"static": True})
    epsilon: float | Array = EPSILON
    name: ClassVar[str] = "alpha-beta"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance per unit of input."""
        affine, relevance = affine_of(call, self.name), cotangents[0] * call.outputs[0]
        alpha = jnp.asarray(self.alpha, relevance.dtype)
        above, back_above = _positive(affine, call)
        below, back_below = _negative(affine, call)
        above += _bias(affine.shift, self.bias, jnp.maximum)
        below += _bias(affine.shift, self.bias, jnp.minimum)
        excited = back_above(shares(alpha * relevance, above, self.epsilon))
        return (excited - back_below(shares((alpha - 1) * relevance, below, self.epsilon)),)


@registered
@dataclass(frozen=True)
class Gamma:
    """The generalized gamma rule: contributions of the output's sign are favored (Andéol et al. 2021).

    For inputs and outputs that are not negative it is the gamma rule of Montavon et al. 2019.

    Args:
        gamma: How much they are favored, not negative; 0 is the epsilon rule.
        epsilon: The stabilizer, not negative.
    """

    gamma: float | Array = 0.25
    epsilon: float | Array = EPSILON
    name: ClassVar[str] = "gamma"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance per unit of input."""
        affine, (x,), (z,) = affine_of(call, self.name), call.inputs, call.outputs
        size, pull_size = jax.vjp(lambda x: affine.product(x, jnp.abs(affine.weight)), jnp.abs(x))
        half = jnp.asarray(self.gamma, z.dtype) / 2
        total = z + half * (z + sign(z) * (size + jnp.abs(affine.shift)))
        share = shares(cotangents[0] * z, total, self.epsilon)
        (of_all,), (of_size,) = call.pull((share,)), pull_size(sign(z) * share)
        half = half.astype(x.dtype)
        return ((1 + half) * of_all + half * sign(x) * of_size,)


Back = Callable[[Array], Array]


def _positive(affine: Affine, call: Call) -> tuple[Array, Back]:
    """Return the positive contributions of each output, summed, and how shares of them are pulled back."""
    return _contributions(affine, call, jnp.maximum(affine.weight, 0), jnp.minimum(affine.weight, 0))


def _negative(affine: Affine, call: Call) -> tuple[Array, Back]:
    """Return the same of the negative contributions."""
    return _contributions(affine, call, jnp.minimum(affine.weight, 0), jnp.maximum(affine.weight, 0))


def _contributions(affine: Affine, call: Call, of_above: Array, of_below: Array) -> tuple[Array, Back]:
    """Return contributions of positive inputs by one weight and of negative ones, if there may be any, by another."""
    (x,), (nonnegative,) = call.inputs, call.nonnegative
    if nonnegative:
        total, pull = jax.vjp(lambda x: affine.product(x, of_above), x)
        return total, lambda share: pull(share)[0]
    total, pull = jax.vjp(
        lambda above, below: affine.product(above, of_above) + affine.product(below, of_below),
        jnp.maximum(x, 0),
        jnp.minimum(x, 0),
    )

    def back(share: Array) -> Array:
        above, below = pull(share)
        return jnp.where(x >= 0, above, below)

    return total, back


def _bias(shift: Array, bias: Bias, part: Callable[[Array, float], Array]) -> Array:
    return {"part": part(shift, 0), "whole": shift, "none": jnp.zeros_like(shift)}[bias]
