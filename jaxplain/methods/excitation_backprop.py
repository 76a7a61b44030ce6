"""Excitation backpropagation: the probability of each entry to win, passed down from the score."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._registry import method
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import per_target, pull_back, scale_maps
from jaxplain.core.maps import divide
from jaxplain.graph.cam import UPSAMPLINGS, Upsample, finished, layer_gradients
from jaxplain.graph.composites.winning import WINNING
from jaxplain.graph.placing import Unknown
from jaxplain.graph.rewrite import rewrite


@method(plain_gradient=True, rules=lambda f, x, **context: WINNING, coarse=UPSAMPLINGS)
def excitation_backprop(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    layer: str | None = None,
    upsample: Upsample = "bilinear",
    unknown: Unknown = "raise",
) -> Float[Array, "*out"]:
    """Pass the probability of winning down from the score to the input, or to a layer.

    The score wins with probability 1. A neuron j that won passes ``P_ij = x_i+ w_ij+ / sum_k x_k+ w_kj+`` on to input
    i: excitatory weights and positive activations alone, no bias. Activations pass on what they receive, max-pooling to
    the winner, averages and sums by the share of each positive term. Inference normalization belongs to the weights.

    The map is not negative and sums to 1, less what neurons lose that are active by their bias alone. The paper
    supposes activations that are not negative; where the network or its input has negative entries, these do not win.
    At a score of exactly zero, of which no share can be taken, the map is zero.

    Args:
        f: Score of one example: a logit, not a probability.
        x: The example.
        layer: Name of a layer whose activations are ``(*space, channels)``: the map there, summed over channels, of
            what passes through that layer. The paper shows inner layers, where maps are smooth; None goes down to the
            input. A convolution is one layer with the normalization behind it, under the name of that.
        upsample: How a layer's map is brought to the example's space: "bilinear", "nearest", or None, which alone keeps
            the sum.
        unknown: What happens at operations without a rule, such as softmax and normalizations over the example: "raise"
            refuses the network, "gradient" keeps their derivative, and the map is no distribution.

    Returns:
        ``(*t, *in)``, or ``(*t, *space)`` of a layer; unscaled.

    Raises:
        InputError: There is no such layer, or no rule for an operation.

    References:
        Zhang, Lin, Brandt, Shen and Sclaroff 2016, Top-down neural attention by excitation backprop, arXiv:1608.00507.

    Example:
        >>> import jax.numpy as jnp
        >>> f = lambda x: jnp.dot(x, jnp.array([1.0, 3.0, -5.0])) + 4.0
        >>> excitation_backprop(f, jnp.array([1.0, 1.0, 2.0]))
        Array([0.25, 0.75, 0.  ], dtype=float32)
    """
    winning = rewrite(f, WINNING, unknown=unknown, where="excitation_backprop")
    if layer is None:
        score, pull = jax.vjp(winning, x)
        maps = scale_maps(pull_back(pull, score)[0], x)
    else:
        score, (by_activation,), (activation,) = layer_gradients("excitation_backprop", winning, x, (layer,))
        maps = jnp.sum(scale_maps(by_activation, activation), axis=-1)
    certain = per_target(divide(jnp.ones_like(score), score), score.ndim, maps.ndim - score.ndim)
    maps = maps * certain.astype(maps.dtype)
    if layer is None:
        return maps
    return finished("excitation_backprop", x, (layer,), score, [maps], relu=False, upsample=upsample)
