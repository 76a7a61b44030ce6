"""Gradients of scalar and vector scores with one forward pass."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxplain._typing import Array, PyTree, ScoreFn


def input_gradient(f: ScoreFn) -> Callable[[Array], Array]:
    """Return the function ``x -> df/dx``, of shape ``(*t, *in)``: one forward pass, one pull-back per score."""

    def gradient(x: Array) -> Array:
        score, pull = jax.vjp(f, x)
        (cotangent,) = pull_back(pull, score)
        return cotangent

    return gradient


def pull_back(pull: Callable[[Array], PyTree], score: Array) -> PyTree:
    """Pull back one cotangent for a scalar score, the K unit cotangents for a vector of K scores.

    Args:
        pull: The second result of ``jax.vjp``.
        score: The value, whose shape and dtype decide.
    """
    if score.ndim == 0:
        return pull(jnp.ones_like(score))
    return jax.vmap(pull)(jnp.eye(score.shape[0], dtype=score.dtype))


def per_target(values: Array, score_ndim: int, x_ndim: int) -> Array:
    """Give values of shape ``(*t)`` trailing axes of length one, so that they multiply maps ``(*t, *in)``."""
    return values.reshape(values.shape + (1,) * x_ndim) if score_ndim else values


def scale_maps(maps: Array, factor: Array) -> Array:
    """Multiply maps ``(*t, *in)`` by one factor ``(*in)``, in the maps' dtype."""
    return maps * factor.astype(maps.dtype).reshape((1,) * (maps.ndim - factor.ndim) + factor.shape)
