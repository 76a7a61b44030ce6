"""The epsilon rule, and the norm rule: relevance in proportion to contributions of either sign.

With contributions ``q_ij = x_i w_ij`` and ``z_j = sum_i q_ij + b_j``

    epsilon   R_i = sum_j q_ij R_j / (z_j + epsilon sign z_j)
    norm      the same with ``z_j = sum_i q_ij``

- Bias: takes its share ``b_j / z_j`` under epsilon, which leaves the map; under norm it has none.
- Stabilizer: takes ``epsilon / (|z_j| + epsilon)``; ``sign(0) = +1``. With ``epsilon = 0`` the rule is LRP-0 and an
  output that is zero gives nothing.
- Padding: contributes nothing. Averages and sums: both rules work on every linear block.
- Conserved: under norm with ``epsilon = 0`` all, unless contributions cancel to zero.

On a network of ReLUs, LRP-epsilon with ``epsilon = 0`` is input times gradient.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax

from jaxplain._pytree import registered
from jaxplain._typing import Array
from jaxplain.graph.rules import Arrays, Call
from jaxplain.methods.lrp.shares import EPSILON, shares


@registered
@dataclass(frozen=True)
class Epsilon:
    """The epsilon rule (Bach et al. 2015, equation 58): ``R_i = sum_j q_ij R_j / (z_j + epsilon sign z_j)``.

    Args:
        epsilon: The stabilizer, not negative, in units of the block's output; larger values leave out weak evidence.
    """

    epsilon: float | Array = EPSILON
    name: ClassVar[str] = "epsilon"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance per unit of input."""
        return call.pull(tuple(shares(g * y, y, self.epsilon) for g, y in zip(cotangents, call.outputs, strict=True)))


@registered
@dataclass(frozen=True)
class Norm:
    """The epsilon rule without bias: ``R_i = sum_j q_ij R_j / (sum_i q_ij + epsilon sign)``.

    Args:
        epsilon: The stabilizer, not negative.
    """

    epsilon: float | Array = EPSILON
    name: ClassVar[str] = "norm"

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance per unit of input."""
        _, totals = jax.jvp(call.run, call.inputs, call.inputs)
        parts = zip(cotangents, call.outputs, totals, strict=True)
        return call.pull(tuple(shares(g * y, total, self.epsilon) for g, y, total in parts))
