"""Composites that follow the conventions of other libraries, and where libraries differ.

    convention                     here               Zennit 0.5         iNNvestigate 2  Captum 0.9    LXT 2
    epsilon                        1e-6               1e-6               1e-7            1e-9          1e-6
    sign of epsilon                z's, + at 0        z's, + at 0        z's, + at 0     z's, + at 0   always +
    bias under epsilon             takes its share    the same           the same        the same      the same
    bias under z-plus, alpha-beta  part of that sign  the same           whole in both   whole         -
    negative inputs under z-plus   x- w- counts       the same           the same        x- w+ counts  -
    gamma                          generalized        generalized        -               w + gamma w+  generalized
    bias under w-square            none               squared            none            -             -
    bias under flat, z-box         none               none               none            -             -
    sums, average pooling          LRP-0              norm               LRP-0           epsilon 1e-9  epsilon
    BatchNorm                      part of its block  merged on request  its own rule    epsilon 1e-9  -
    first layer                    reads the input    first module       first module    -             -

The named composites of ``composites`` follow Zennit but for its norm rule at sums and averages, which adds a stabilizer
to LRP-0, and that an output of exactly zero counts as positive under gamma (there it gives nothing). Presets here:

    innvestigate_a, _a_flat   LRPSequentialPresetA: alpha 1, beta 0 with the whole bias on convolutions, epsilon 0.1 on
                              dense layers; flat at the first layer
    innvestigate_b, _b_flat   LRPSequentialPresetB: alpha 2, beta 1 with the whole bias
    captum                    LRP's default: epsilon 1e-9 everywhere (until 0.8 its sign was always +)

All are for networks without BatchNorm, and equal up to rounding and to what is divided by zero. ``attn_lrp`` follows
LXT; for vision transformers its authors advise gamma instead of epsilon: ``((OfKind("conv", "dot"), Gamma(...)),)``.
"""

from typing import Any

from jaxplain.graph.predicates import OfKind, ReadsInput
from jaxplain.methods.lrp.epsilon import Epsilon
from jaxplain.methods.lrp.first_layer import Flat
from jaxplain.methods.lrp.signed import AlphaBeta, ZPlus

_FLAT = (ReadsInput(), Flat())
_DENSE = (OfKind("dot"), Epsilon(0.1))
_A = (OfKind("conv"), ZPlus(bias="whole", epsilon=0.0))
_B = (OfKind("conv"), AlphaBeta(2.0, bias="whole", epsilon=0.0))
PRESETS: dict[str, tuple[tuple[Any, Any], ...]] = {
    "innvestigate_a": (_A, _DENSE),
    "innvestigate_a_flat": (_FLAT, _A, _DENSE),
    "innvestigate_b": (_B, _DENSE),
    "innvestigate_b_flat": (_FLAT, _B, _DENSE),
    "captum": ((OfKind("conv", "dot"), Epsilon(1e-9)),),
}
"""Own entries of the presets, by name."""
