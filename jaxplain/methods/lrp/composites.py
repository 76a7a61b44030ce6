"""Composites: which rule each block of a network receives.

Named composites, after Zennit (arXiv:2106.13200); "first" is every convolution or dense layer that reads the input
itself, "conv" and "dense" are the others:

    name                        first     conv                dense
    epsilon                               epsilon             epsilon
    epsilon_plus                          z-plus              epsilon
    epsilon_plus_flat           flat      z-plus              epsilon
    epsilon_gamma_box           z-box     gamma 0.25          epsilon
    epsilon_alpha2_beta1                  alpha 2, beta 1     epsilon
    epsilon_alpha2_beta1_flat   flat      alpha 2, beta 1     epsilon
    attn_lrp                              epsilon             epsilon, and residual sums

``presets`` adds those that follow other libraries. The bias and the inference BatchNorm behind a layer belong to its
block, so that each composite gives what it gives on the network with folded weights.

All other blocks are treated alike in every composite, also in those that users write (``COMMON``), so that each one
runs on networks with attention too:

- activations and clipping pass relevance on; softmax, products and normalizations follow AttnLRP;
- what is linear (sums, averages, reshapes, and affine layers that no entry names) keeps its derivative, which is LRP-0:
  relevance in proportion to contributions, a constant takes its share, nothing is stabilized, and what is padded around
  a pooling window contributes nothing;
- maxima go to their winner, with ties as the primitive has them.

``attn_lrp`` differs from ``epsilon`` by the stabilizer of residual sums alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jaxplain._errors import InputTypeError, unknown
from jaxplain._typing import Array
from jaxplain.graph.blocks import Block
from jaxplain.graph.predicates import Linear, OfKind, ReadsInput, Selecting
from jaxplain.graph.rules import KEEP
from jaxplain.methods.lrp.activations import HOMOGENEOUS, PASSED, Extremum, Pass
from jaxplain.methods.lrp.attention import HalfEach, HeldScale
from jaxplain.methods.lrp.epsilon import Epsilon
from jaxplain.methods.lrp.first_layer import Flat, ZBox
from jaxplain.methods.lrp.presets import PRESETS
from jaxplain.methods.lrp.signed import AlphaBeta, Gamma, ZPlus

Entry = tuple[Callable[[Block], bool], Any]

CONV, DENSE, FIRST = OfKind("conv"), OfKind("dot"), ReadsInput()
COMMON: tuple[Entry, ...] = (
    (OfKind(*HOMOGENEOUS), KEEP),
    (OfKind(*PASSED), Pass()),
    (OfKind("max", "min"), Extremum()),
    (OfKind("layer_norm", "rms_norm", "group_norm"), HeldScale()),
    (OfKind("bilinear", "square"), HalfEach()),
    (OfKind("softmax"), KEEP),
    (Linear(), KEEP),
    (Selecting(), KEEP),
)
"""The entries at the end of every composite."""
COMPOSITES: Mapping[str, tuple[Entry, ...]] = {
    "epsilon": ((OfKind("conv", "dot"), Epsilon()),),
    "epsilon_plus": ((CONV, ZPlus()), (DENSE, Epsilon())),
    "epsilon_plus_flat": ((FIRST, Flat()), (CONV, ZPlus()), (DENSE, Epsilon())),
    "epsilon_alpha2_beta1": ((CONV, AlphaBeta(2.0)), (DENSE, Epsilon())),
    "epsilon_alpha2_beta1_flat": ((FIRST, Flat()), (CONV, AlphaBeta(2.0)), (DENSE, Epsilon())),
    "attn_lrp": ((OfKind("conv", "dot", "sum"), Epsilon()),),
    **PRESETS,
}
"""The own entries of the named composites but ``epsilon_gamma_box``, which is made for the input's range."""
NAMES = (*COMPOSITES, "epsilon_gamma_box")


def named(
    name: str, low: float | Array | None = None, high: float | Array | None = None, where: str = "named"
) -> tuple[Entry, ...]:
    """Return a named composite without the common entries.

    Args:
        name: Its name.
        low: The least possible values of the input, for ``epsilon_gamma_box``: a number or an array of its shape.
        high: The greatest possible values.
        where: What errors name.

    Returns:
        Pairs (predicate, rule); put pairs in front of them to treat some blocks in another way.

    Raises:
        InputError: There is no composite of that name; names the nearest ones.
        InputTypeError: ``low`` or ``high`` is missing where z-box needs them.

    Example:
        >>> from jaxplain.graph.predicates import AtPath
        >>> own = ((AtPath("stem", kinds=("conv",)), Epsilon()), *named("epsilon_plus"))
        >>> [rule.name for _, rule in own]
        ['epsilon', 'z-plus', 'epsilon']
    """
    if name not in NAMES:
        raise unknown(where, "composite", name, NAMES)
    if name != "epsilon_gamma_box":
        return COMPOSITES[name]
    if low is None or high is None:
        raise InputTypeError(
            f"{where}: low= and high= are required by {name}: the least and greatest possible values of the input as "
            "the network sees it, numbers or arrays of the input's shape."
        )
    return ((FIRST, ZBox(low, high)), (CONV, Gamma(0.25)), (DENSE, Epsilon()))
