"""Rules for the layer that reads the input, where black pixels shall have relevance too: flat, w-square, z-box.

    flat       R_i = sum_j R_j / n_j                         n_j: how many inputs output j reads
    w-square   R_i = sum_j w_ij^2 R_j / sum_i w_ij^2
    z-box      R_i = sum_j k_ij R_j / sum_i k_ij             k_ij = x_i w_ij - low_i w+_ij - high_i w-_ij

They return relevance, not relevance per unit of input, and stand only at blocks that read the input itself.

- Bias: none has a share.
- Stabilizer: z-box only, ``epsilon * sign(total)``; ``low <= x <= high`` makes all ``k`` not negative.
- Padding: what a convolution pads does not count; its share goes to the pixels. What the network pads in front of it
  (``jnp.pad``) counts as an input of its own under flat and w-square, and its share is lost; z-box gives it none.
- Conserved: all under flat and w-square, but that of outputs that read no input (the gaps of transposed convolutions)
  or have no weight; under z-box all but the stabilizer's share.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxplain._errors import InputError
from jaxplain._pytree import registered
from jaxplain._typing import Array
from jaxplain.graph.rules import Arrays, Call
from jaxplain.methods.lrp.shares import EPSILON, affine_of, shares


@dataclass(frozen=True)
class Flat:
    """Divide relevance evenly among all inputs of an output (Lapuschkin et al. 2019, arXiv:1902.10178)."""

    name: ClassVar[str] = "flat"
    to_input: ClassVar[bool] = True

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance."""
        return _by_weight(call, cotangents, jnp.ones_like(affine_of(call, self.name).weight))


@dataclass(frozen=True)
class WSquare:
    """Divide relevance by squared weights, whatever the input (Montavon et al. 2017, section 4.1)."""

    name: ClassVar[str] = "w-square"
    to_input: ClassVar[bool] = True

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance."""
        return _by_weight(call, cotangents, jnp.square(affine_of(call, self.name).weight))


@registered
@dataclass(frozen=True)
class ZBox:
    """The rule for inputs of limited range (Montavon et al. 2017, section 4.2, the z^B rule).

    Args:
        low: The least possible values, in units of the network's input: a number or an array of its shape.
        high: The greatest possible values.
        epsilon: The stabilizer, not negative.
    """

    low: float | Array
    high: float | Array
    epsilon: float | Array = EPSILON
    name: ClassVar[str] = "z-box"
    to_input: ClassVar[bool] = True

    def backward(self, call: Call, cotangents: Arrays) -> Arrays:
        """Return relevance."""
        affine, (x,) = affine_of(call, self.name), call.inputs
        over, under = x - _bound(self.low, x), x - _bound(self.high, x)
        total, pull = jax.vjp(
            lambda over, under: (
                affine.product(over, jnp.maximum(affine.weight, 0))
                + affine.product(under, jnp.minimum(affine.weight, 0))
            ),
            over,
            under,
        )
        of_over, of_under = pull(shares(cotangents[0] * call.outputs[0], total, self.epsilon))
        return (of_over * over + of_under * under,)


def _by_weight(call: Call, cotangents: Arrays, weight: Array) -> Arrays:
    """Divide relevance in proportion to weights that are not negative."""
    affine, (x,) = affine_of(call, "flat"), call.inputs
    total, pull = jax.vjp(lambda x: affine.product(x, weight), jnp.ones_like(x))
    return pull(shares(cotangents[0] * call.outputs[0], total, 0.0))


def _bound(bound: float | Array, x: Array) -> Array:
    values = jnp.asarray(bound, x.dtype)
    if values.shape not in ((), x.shape):
        raise InputError(
            f"lrp: a bound of z-box has the shape {values.shape} at a block that reads {x.shape}: it stands in a scan; "
            "choose flat or w-square there."
        )
    return jnp.broadcast_to(values, x.shape)
