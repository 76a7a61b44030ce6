"""Penalties on the gradient with respect to the input.

ReLU networks have no second derivative in the input, yet the mixed derivative in input and weights is not zero, so
these penalties train them as well as smooth ones. Batch normalization and dropout must be in inference mode, which the
adapters see to: a penalty of one example may not depend on the others.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._errors import InputError
from jaxplain._typing import ScoreFn
from jaxplain.core.gradient import input_gradient
from jaxplain.core.sampling import wide


def input_gradient_penalty(f: ScoreFn, x: Float[Array, "*in"], *, forbidden: Float[Array, "*in"]) -> Float[Array, ""]:
    """Sum the squared gradient over what the network should not use.

    ``sum_p (A_p df/dx_p)^2``, over all K scores where f has several.

    Args:
        f: Score of one example, ``jaxplain.Score(model, target)`` for one.
        x: The example.
        forbidden: A: 1 where the score should not depend on the input, 0 where it may, or a weight between. Of the
            example's shape, or with axes of length 1, such as one entry for all channels of a pixel.

    Returns:
        One number, at least 0, in float32 or wider, in squared units of the score per unit of the input.

    Raises:
        InputError: The mask does not fit the example.

    References:
        Drucker and Le Cun 1992, Improving generalization performance using double backpropagation,
        doi:10.1109/72.165600.

    Example:
        >>> import jax.numpy as jnp
        >>> f = lambda x: 3 * x[0] + 4 * x[1]
        >>> float(input_gradient_penalty(f, jnp.ones(2), forbidden=jnp.array([0.0, 1.0])))
        16.0
    """
    mask = jnp.asarray(forbidden)
    if mask.ndim != x.ndim or any(size not in (1, full) for size, full in zip(mask.shape, x.shape, strict=True)):
        raise InputError(
            f"forbidden: a mask of shape {mask.shape} does not fit an example of shape {x.shape}; pass that shape, "
            "with 1 in place of axes that share an entry."
        )
    gradient = wide(input_gradient(f)(x))
    weights = mask.astype(gradient.dtype).reshape((1,) * (gradient.ndim - x.ndim) + mask.shape)
    return jnp.sum(jnp.square(weights * gradient))


def right_for_the_right_reasons(
    f: ScoreFn, x: Float[Array, "*in"], *, forbidden: Float[Array, "*in"]
) -> Float[Array, ""]:
    """Penalize a classifier for looking where an annotator says that it should not.

    ``sum_p (A_p d/dx_p sum_k log softmax_k f(x))^2``. The sum of all classes' log-probabilities needs no label, and
    moves as soon as any class's probability does. In a loss: ``cross-entropy + weight * penalty``, both averaged over
    the batch; the authors choose the weight so that both terms have one order of magnitude.

    Args:
        f: All K logits of one example: ``jaxplain.Score(model, jaxplain.Output())``. Log-probabilities serve as well,
            since their softmax gives them back.
        x: The example.
        forbidden: A: 1 where the network should not look, 0 where it may. Of the example's shape, or with axes of
            length 1.

    Returns:
        One number, at least 0, in float32 or wider.

    Raises:
        InputError: f returns no vector, or the mask does not fit the example.

    References:
        Ross, Hughes and Doshi-Velez 2017, Right for the right reasons: training differentiable models by constraining
        their explanations, arXiv:1703.03717, equation 1.

    Example:
        >>> import jax.numpy as jnp
        >>> logits = lambda x: jnp.stack([x[0], jnp.zeros(())])
        >>> at = jnp.array([jnp.log(3.0), 5.0])  # the class 0 has probability 3/4: (1 - 2 * 3/4)^2
        >>> right_for_the_right_reasons(logits, at, forbidden=jnp.ones(2)).round(4)
        Array(0.25, dtype=float32)
    """

    def sum_of_log_probabilities(x: Array) -> Array:
        logits = f(x)
        if logits.ndim != 1:
            raise InputError(
                f"right_for_the_right_reasons: f must return the vector of all logits, got the shape {logits.shape}; "
                "pass Score(model, Output())."
            )
        return jnp.sum(jax.nn.log_softmax(wide(logits)))

    return input_gradient_penalty(sum_of_log_probabilities, x, forbidden=forbidden)
