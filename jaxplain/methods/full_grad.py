"""FullGrad: input times gradient and the bias terms of all layers, in one map."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxplain._errors import InputError
from jaxplain._registry import Diagnosed, method, with_diagnostics
from jaxplain._typing import ScoreFn
from jaxplain.core.maps import divide
from jaxplain.graph.biases import FullGradient, full_gradient
from jaxplain.graph.cam import resized

Psi = Literal["rescaled", "absolute", "signed"]


@method()
def full_grad(f: ScoreFn, x: Float[Array, "*in"], *, psi: Psi = "rescaled") -> Float[Array, "*cam"]:
    """Add up the full gradient over layers: input times gradient, and each layer's bias times the gradient there.

    ``map = sum_c psi(x df/dx) + sum_blocks sum_c up(psi(g b))`` with the gradient g of the score at a block's output,
    the block's bias ``b = y - J u`` (``jaxplain.graph.biases``) and ``up`` bilinear. The terms before psi sum to the
    score. An affine layer with its normalization is one block; activations that are not piecewise linear through zero
    have implicit biases ``h(z) - z h'(z)``, which belong to the sum.

    A block has a place in the map if its outputs have the space of the example, of a convolution or of a pooling. Dense
    layers behind have none: they are left out, as in the paper; ``full_grad_with_diagnostics`` tells how much that is.

    Args:
        f: Score of one example.
        x: The example, ``(*space, channels)``.
        psi: What is done to a block's term, all its channels and positions together, before it is added. "rescaled"
            takes the absolute value and shifts and scales it to [0, 1], which gives blocks of all sizes equal weight:
            that is the published map, neither signed nor in units of the score. "absolute" leaves the scale, "signed"
            the term as it is.

    Returns:
        Without channels: ``(*t, *space)``; in units of the score unless rescaled.

    Raises:
        InputError: The example has no space.

    References:
        Srinivas and Fleuret 2019, Full-gradient representation for neural network visualization, arXiv:1905.00780.
        Its formula rescales each channel, its authors' code, which this follows, all channels of a layer together.

    Example:
        >>> biased = lambda x: jnp.sum(jnp.tanh(x))
        >>> full_grad(biased, jnp.array([[[0.0], [9.0]]]), psi="signed").round(3)
        Array([[0., 1.]], dtype=float32)
    """
    return _map(full_gradient(f, _with_space(x)), x, psi)


@with_diagnostics(full_grad)
def full_grad_with_diagnostics(f: ScoreFn, x: Float[Array, "*in"], *, psi: Psi) -> Diagnosed:
    """Return the map, how far the terms are from the score, and what has no place in the map.

    Args:
        f: Score of one example.
        x: The example.
        psi: As in ``full_grad``, with its default.

    Returns:
        The map, and ``{"gap": (*t), "left_out": (*t)}``, both signed and in units of the score: the sum of all terms
        less the score, which is rounding, and the sum of the terms that have no place.

    Example:
        >>> _, figures = full_grad_with_diagnostics(lambda x: 2.0 * jnp.sum(x) + 5.0, jnp.ones((1, 2, 1)))
        >>> float(figures["gap"]), float(figures["left_out"])
        (0.0, 5.0)
    """
    found = full_gradient(f, _with_space(x))
    sums = [(_total(term.values, found), term.has_place) for term in found.terms]
    everything = sum((each for each, _ in sums), _total(found.input_term, found))
    left_out = sum((each for each, has_place in sums if not has_place), jnp.zeros_like(everything))
    figures = {"gap": everything - found.score.astype(everything.dtype), "left_out": left_out}
    return _map(found, x, psi), figures


def _map(found: FullGradient, x: Array, psi: Psi) -> Array:
    front = found.score.ndim + 1
    maps = jnp.sum(_shown(jnp.expand_dims(found.input_term, front - 1), front, psi), axis=(front - 1, -1))
    for term in found.terms:
        if term.has_place:
            channels = jnp.sum(_shown(term.values, front, psi), axis=-1)
            shown = resized("full_grad", term.block.path, channels, front, x.shape[:-1], "bilinear")
            maps = maps + jnp.sum(shown, axis=front - 1).astype(maps.dtype)
    return maps.astype(x.dtype)


def _shown(values: Array, front: int, psi: Psi) -> Array:
    """Apply psi to values ``(front axes, *space, channels)``."""
    if psi == "signed":
        return values
    size, over = jnp.abs(values), tuple(range(front, values.ndim))
    if psi == "absolute":
        return size
    low, high = jnp.min(size, axis=over, keepdims=True), jnp.max(size, axis=over, keepdims=True)
    rescaled: Array = divide(size - low, high - low)
    return rescaled


def _total(values: Array, found: FullGradient) -> Array:
    return jnp.sum(values, axis=tuple(range(found.score.ndim, values.ndim)))


def _with_space(x: Array) -> Array:
    if x.ndim < 2:
        raise InputError(
            f"full_grad: the example has the shape {x.shape} and no space; pass (*space, channels), or use "
            "jaxplain.graph.biases.full_gradient for the terms themselves."
        )
    return x
