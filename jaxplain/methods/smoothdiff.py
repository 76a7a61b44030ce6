"""SmoothDiff: an approximation of SmoothGrad that averages the gates of nonlinearities and pulls back once."""

import jax
from jaxtyping import Array, Float, Key

from jaxplain._registry import method
from jaxplain._typing import Count, NonNegative, ScoreFn
from jaxplain.core.gradient import pull_back
from jaxplain.core.noise import noisy_copies
from jaxplain.core.sampling import mean, reduce_over
from jaxplain.graph.composites.gates import EXPECTED
from jaxplain.graph.rewrite import rewrite


@method(axioms=("linearity",), plain_gradient=True, rules=lambda f, x, **context: EXPECTED)
def smoothdiff(
    f: ScoreFn,
    x: Float[Array, "*in"],
    *,
    key: Key[Array, ""],
    n_samples: Count = 50,
    sigma: NonNegative = 0.15,
    chunk: int | None = None,
) -> Float[Array, "*out"]:
    """Pull the score back once, through the expected derivatives of the nonlinearities at noisy copies of the input.

    ``map = E[J_1]^T ... E[J_L]^T``, where SmoothGrad estimates ``E[J_1^T ... J_L^T]``: an approximation, exact for one
    layer of nonlinearities, biased where gates of different layers vary together; more samples do not mend that.
    Noisy copies, numbered and keyed as in ``smoothgrad``, take forward passes only, for all scores together.

    The expectation is taken over: elementwise nonlinearities (the mean derivative of every entry), max-pooling (how
    often each entry of a window wins) and products of two values that depend on the input (the mean factors). Softmax,
    normalizations, quotients, sorting and maxima over axes keep their derivative at the clean input. So networks with
    layer normalization are approximated roughly: on tiny ones with random weights the map was further from SmoothGrad
    than its own length at the default noise, and by a quarter to a third of it at a third of that noise.

    Args:
        f: Score of one example.
        x: The example.
        key: Typed key of this image; sample i uses ``fold_in(key, i)``.
        n_samples: Number of noisy copies, at least 1.
        sigma: Standard deviation of the noise as a fraction of x.max() - x.min(); 0 gives the plain gradient.
        chunk: Samples evaluated together; changes memory and speed only.

    Returns:
        Signed and unscaled, shape ``(*t, *in)``, in units of the score per unit of the input.

    References:
        Smoothed differentiation efficiently mitigates shattered gradients in explanations, NeurIPS 2025,
        https://openreview.net/forum?id=7YKbyBb0kF, for ReLU and max-pooling.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> kinks = lambda x: jnp.sum(jax.nn.relu(x))
        >>> smoothdiff(kinks, jnp.array([-9.0, 0.0, 9.0]), key=jax.random.key(0), n_samples=4)
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    placement, copy = rewrite(f, EXPECTED, where="smoothdiff").placement(x), noisy_copies(x, key, sigma)
    gates = reduce_over(lambda sample: placement.record(copy(sample)), n_samples, mean, chunk=chunk)
    score, pull = jax.vjp(lambda x: placement.value(x, recorded=gates), x)
    (cotangent,) = pull_back(pull, score)
    return cotangent
